package handbook

import "github.com/seed-428f4edd/evenkeel/internal/words"

// speech are the words of a language.
func speech(lang string) words.Words {
	if lang == words.Chinese {
		return chinese()
	}
	return nil
}

// chinese has the Chinese words of the page by the English ones. Terms that the tools
// show in English (Deployment, Ingress, kind of hop) stay as they are.
func chinese() words.Words {
	return words.Words{
		"Handbook of %s": "%s 手册",
		"This page is written by %s from the source of the environments, and shows what an apply makes of it. Do not edit it.": "本页由 %s 根据环境源码生成，内容即 apply 的结果，请勿手工修改。",
		"It does not look at the cluster. How things are right now is shown by %s and %s.":                                     "生成时不访问集群。当前状态请看 %s 和 %s。",

		"How requests arrive": "请求如何到达", "URLs": "URL 一览", "In front of the cluster": "集群入口", "DNS records": "DNS 记录", "Ports": "端口",
		"Apps": "应用", "Who calls whom": "调用关系", "Registries": "注册中心", "Certificates": "证书", "What must be made by hand": "需要手工创建的对象",
		"Images": "镜像", "When a host fails": "主机故障时", "What to type": "常用命令", "Last changes": "最近变更",

		"URL": "URL", "App": "应用", "Pods": "Pod", "TLS ends at": "TLS 终止于", "Calls": "调用", "Breaks at": "中断于", "Why": "原因", "What to change": "如何修改",
		"Host": "主机", "Address": "地址", "Holds the virtual address": "何时持有虚拟 IP", "Name": "域名", "Leads to": "指向", "Zone": "区域",
		"Where": "位置", "Port": "端口", "Environment": "环境", "Type": "类型", "Runs": "工作负载", "Breaks": "中断", "Registry": "注册中心", "Certificate": "证书",
		"Object": "对象", "Keys": "键", "When": "何时", "Image": "镜像", "Copied from": "复制自", "Used by": "使用者", "When it is gone": "故障影响",

		"No URL leads to these environments.": "没有 URL 指向这些环境。",
		"of %s":                               "（%s）",
		"These are not answered, or not in full:":                       "以下 URL 无法得到（完整的）响应：",
		"Hop by hop, with the line of the source that decides each: %s": "逐跳查看，并显示决定每一跳的源码行：%s",
		"edge":              "边缘主机",
		"load balancer":     "负载均衡器",
		"controller":        "Ingress 控制器",
		"%d to %d pods":     "%d 至 %d 个 Pod",
		"1 pod":             "1 个 Pod",
		"%d pods":           "%d 个 Pod",
		"first":             "首先",
		"when %s is gone":   "%s 故障之后",
		"the load balancer": "负载均衡器",
		"outside of %s":     "不在 %s 之内",
		"These names are all that the cluster answers, of other environments too. The zone %s is on %s; %s writes the records of these names for it, and no others.": "以上是集群响应的全部域名，包括其他环境的。区域 %s 位于 %s；%s 只为这些域名生成记录。",
		"An image that is copied from nowhere is pushed there by those who build it, or pulled from where it is made.":                                               "没有来源的镜像由构建者推送，或直接从其发布处拉取。",
		"the zone %s": "区域 %s", "pods of %s": "%s 的 Pod", "the app itself, without a Service": "应用本身，不经 Service",
		"1 of %d nodes is left.": "剩余 1/%d 个节点。", "ENV is one of these environments: %s.": "ENV 是以下环境之一：%s。",
		"port %d of %s":                      "%[2]s 的端口 %[1]d",
		"port %v of %s":                      "%[2]s 的端口 %[1]v",
		"port %v of the pods":                "Pod 的端口 %v",
		"the API servers: %s":                "API server：%s",
		"nodes of the pods":                  "Pod 所在节点",
		"every node":                         "每个节点",
		"addresses that are written by hand": "手工填写的地址",
		"Nobody calls anybody, as far as the environments say.":              "从环境看，应用之间没有调用。",
		"the file %s on the edge hosts":                                      "边缘主机上的文件 %s",
		"the Secret %s":                                                      "Secret %s",
		"the default certificate of the controller":                          "控制器的默认证书",
		"No host of these environments is served by TLS.":                    "这些环境没有启用 TLS 的域名。",
		"before an apply":                                                    "apply 之前",
		"before pods that use it can start":                                  "在使用它的 Pod 启动之前",
		"Nothing: the environments make all that they refer to.":             "无：环境引用的对象都由其自身创建。",
		"nginx passes requests on to %s.":                                    "nginx 将请求转发给 %s。",
		"nginx has no node left to pass requests on to: no URL is answered.": "nginx 没有可转发的节点：所有 URL 都无法访问。",
		"%d of %d nodes are left.":                                           "剩余 %d/%d 个节点。",
		"%s has %d of %d addresses left.":                                    "%s 剩余 %d/%d 个地址。",
		"The virtual address %s is gone: no URL is answered.":                "虚拟 IP %s 消失：所有 URL 都无法访问。",
		"The virtual address %s stays at %s.":                                "虚拟 IP %s 仍在 %s。",
		"The virtual address %s stays at %s, which has no standby then.":     "虚拟 IP %s 仍在 %s，此时再无备机。",
		"Names of %s are still answered by %s.":                              "%s 的域名仍由 %s 解析。",
		"The API server is still answered by %s.":                            "API server 仍由 %s 提供服务。",

		"Host names lead to the load balancer of the cloud, which passes requests on to the ingress controller. Its address is in the status of the controller's Service.":               "域名指向云上的负载均衡器，由它转发给 Ingress 控制器；其地址见控制器 Service 的 status。",
		"nginx on these hosts takes requests at the virtual address %s and passes them on to port %d of %s. keepalived moves the address.":                                               "这些主机上的 nginx 在虚拟 IP %s 接收请求，转发到 %[3]s 的端口 %[2]d；虚拟 IP 由 keepalived 漂移。",
		"Secrets and other objects that evenkeel does not make: whoever runs the site does. Their values are not in the source.":                                                         "evenkeel 不创建的 Secret 等对象，由站点的运维人员创建；源码中没有它们的值。",
		"Pods of a node that is gone start on others after about five minutes (the default of Kubernetes), if these have room. Of an app with several pods, those on other nodes go on.": "故障节点上的 Pod 约五分钟后（Kubernetes 默认值）在其他节点重建（资源足够时）；有多个 Pod 的应用，其他节点上的 Pod 不受影响。",
		"The virtual address %s moves to %s after about %d seconds; requests go on.":                                                                                                     "虚拟 IP %s 约 %[3]d 秒后漂移到 %[2]s，请求继续得到响应。",
		"Names of %s are no longer resolved: %s is their only name server. Clients that know an address go on until it leaves their cache.":                                              "%s 的域名无法再解析：%s 是其唯一的域名服务器。已缓存地址的客户端在缓存失效前不受影响。",
		"Apps with one pod do not answer until it has started elsewhere, if it ran here: %s.":                                                                                            "若其唯一的 Pod 在该节点上，以下应用在 Pod 于别处启动之前无法响应：%s。",
		"There is no API server left: what runs goes on, and nothing can be changed.":                                                                                                    "没有可用的 API server：正在运行的不受影响，但无法做任何变更。",
		"How it is now, with the cause of what is wrong:":                                                                                                                                "查看当前状态和异常原因：",
		"What differs between the source and the cluster, and who changed it:":                                                                                                           "查看源码与集群的差异以及修改者：",
		"A new version: set it in the source, look, apply:":                                                                                                                              "发布新版本：修改源码、查看、应用：",
		"Back to the revision before, or to revision N of the history; then set the same in the source, or the next apply goes forward again:":                                           "回滚到上一版本，或历史中的版本 N；随后在源码中同样修改，否则下一次 apply 会再次前进：",
		"Stop a rollout after its first pods, and go on:":                                                                                                                                "在首批 Pod 之后暂停发布，再继续：",
		"Write the files of the edge hosts again, to be installed there with the install.sh among them:":                                                                                 "重新生成边缘主机的配置文件，用其中的 install.sh 在主机上安装：",
		"They are not on this page, which is the same for the same source: the cluster and git know them.":                                                                               "相同的源码生成相同的页面，因此本页不含变更记录；请查询集群和 git。",
		"Day":    "日期",
		"Who":    "作者",
		"Change": "变更",
		"Commit": "提交",
		"Commits that changed the source of environments. What was applied when, and by whom, the cluster knows:": "修改了环境源码的提交。何时由谁应用，请查询集群：",
	}
}
