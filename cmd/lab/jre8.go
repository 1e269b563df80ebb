package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"
)

// jre8 is the entry point of the demo's images, and keeps the contract of the jre8
// base images of the first users: it starts JAR_BALL with the options of C_OPTS.
// What is behind it here is dubbo-go, so the -Ddubbo.* of Java become the file that
// dubbo-go reads.
func jre8() error {
	jar := os.Getenv("JAR_BALL")
	if jar == "" {
		return errors.New("JAR_BALL is not set")
	}
	options := map[string]string{}
	for option := range strings.FieldsSeq(os.Getenv("C_OPTS")) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(option, "-D"), "="); ok && strings.HasPrefix(option, "-Ddubbo.") {
			options[key] = value
		}
	}
	config, err := dubboGoConfig(options)
	if err != nil {
		return err
	}
	file := path.Join(os.TempDir(), "dubbogo.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	program := path.Join("/", jar)
	return syscall.Exec(program, []string{program}, append(os.Environ(), "DUBBO_GO_CONFIG_PATH="+file))
}

// dubboGoConfig says in dubbo-go's words what system properties say to Dubbo 2.6.
func dubboGoConfig(options map[string]string) (string, error) {
	address := options["dubbo.registry.address"]
	kind, servers, ok := strings.Cut(address, "://")
	if !ok {
		return "", fmt.Errorf("-Ddubbo.registry.address=%s: no protocol", address)
	}
	servers = strings.ReplaceAll(servers, "?backup=", ",")
	config := fmt.Sprintf(`dubbo:
  logger:
    level: warn
  application:
    name: %s
  registries:
    default:
      protocol: %s
      address: %s
      group: %s
      registry-type: interface
      timeout: %sms
  shutdown:
    timeout: 30s
    step-timeout: %sms
    offline-request-window-timeout: 3s
`, options["dubbo.application.name"], kind, servers, options["dubbo.registry.group"], options["dubbo.registry.session"], options["dubbo.service.shutdown.wait"])
	if port := options["dubbo.protocol.port"]; port != "" {
		return config + fmt.Sprintf(`  protocols:
    dubbo:
      name: %s
      port: %s
  provider:
    services:
      Hello:
        interface: %s
`, options["dubbo.protocol.name"], port, helloService), nil
	}
	retries := options["dubbo.consumer.retries"]
	if retries == "" {
		retries = "2"
	}
	return config + fmt.Sprintf(`  consumer:
    check: true
    max-wait-time-for-service-discovery: %ds
    references:
      Hello:
        protocol: dubbo
        interface: %s
        retries: %q
`, providerWait, helloService, retries), nil
}

// providerWait is how long a consumer waits for a provider before it serves anything,
// in seconds: what the startup probe allows. Java checks this by default, too; without
// it a consumer that starts before its providers is ready and fails every call, as long
// as dubbo-go takes to look into ZooKeeper again: 3, 6, 9 seconds and so on.
const providerWait = 150

const helloService = "com.od.dubbotest.api.HelloService"
