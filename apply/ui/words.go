package ui

import "github.com/seed-428f4edd/evenkeel/internal/words"

// says says a text in a language. The texts of templates are English.
func (s *Server) says(lang, text string, args ...any) string {
	if lang != words.Chinese {
		return words.Words(nil).Say(text, args...)
	}
	return s.chinese.Say(text, args...)
}

// chinese has the Chinese words of the page by the English ones. What the cluster and
// plans say stays as the commands say it.
func chinese() words.Words {
	return words.Words{
		"Skip to the content": "跳到正文", "Environments": "环境", "Views": "视图", "Health": "健康状态", "Drift and plan": "漂移与计划", "History": "历史", "Picture": "拓扑图",
		"Trace": "请求跟踪", "Logs": "日志", "Events": "事件", "not read yet": "尚未读取", "copy": "复制", "copied": "已复制",
		"healthy": "健康", "progressing": "进行中", "failed": "失败", "unknown": "未知",
		"No connection to evenkeel ui: is it still running?":              "与 evenkeel ui 的连接已断开：它还在运行吗？",
		"The cluster does not answer; what is shown is from before.":      "集群没有响应，显示的是之前的状态。",
		"The source of this environment is wrong; it cannot be rendered.": "此环境的源码有误，无法渲染。",
		"rendered from %s": "渲染自 %s", "%d of %d ready": "%d/%d 就绪", "last changed by %s at %s": "最后由 %s 于 %s 修改", "objects: %d": "对象：%d",
		"%d of %d pods are ready": "%d/%d 个 Pod 就绪", "and %d more": "以及另外 %d 个",
		"What an apply does": "apply 的动作", "Object": "对象", "Field": "字段", "Changed by": "修改者", "When": "时间", "The plan in full": "完整计划",
		"The cluster is as the source says.": "集群与源码一致。",
		"Revision":                           "版本", "Who": "操作者", "Commit": "提交", "Changes": "变更", "Signed": "已签名", "no": "否", "Nothing is recorded yet.": "尚无记录。",
		"Since revision": "相对版本", "No revision before it is recorded.": "没有更早的版本记录。", "What it changed": "该版本的变更",
		"How requests arrive, with health": "请求如何到达及其健康状态", "Follow": "跟踪",
		"App": "应用", "Container": "容器", "Last lines": "最后行数", "of the run before": "上一次运行的", "Read": "读取", "and go on": "持续跟踪", "All pods have ended.": "所有 Pod 均已结束。", "New lines are added as they come.": "新日志会实时追加。",
		"%d lines came too fast and are left out": "日志过快，略去 %d 行", "There is more: evenkeel logs has all of it.": "内容过长已截断，完整日志请用 evenkeel logs。",
		"Sign in": "登录", "Sign out": "退出", "Token for the cluster": "集群令牌", "I am signed in already": "我已登录",
		"The page shows what the account of the token may see, and nothing else. One that lasts an hour:": "页面只显示该令牌的账号有权查看的内容。生成一个有效期一小时的令牌：",
		"This account may look at no environment: it needs the right to list pods in its namespace.":      "此账号无权查看任何环境：需要在环境的命名空间中列出 Pod 的权限。",
		"The newest commit cannot be rendered; what is shown is of an older one.":                         "最新提交无法渲染，显示的是较早的提交。",
		noToken: "这不是令牌：含有令牌中不会出现的字符。", notKnown: "集群不认识此令牌，或令牌已失效。", notAsked: "暂时无法向集群确认您的身份，请稍后再试。",
		tooMany: "登录尝试过多，请一分钟后再试。", sessionsUp: "登录人数过多，请稍后再试。",
		"paused": "已暂停", "scaled past git": "副本数与 git 不同",
		"Type": "类型", "Reason": "原因", "Message": "内容", "Times": "次数", "There are no events.": "没有事件。",
	}
}
