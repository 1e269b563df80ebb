// Package bench makes environments of any size, for benchmarks.
package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Write makes a repository in dir with one environment "bench" of n Dubbo apps:
// three of four are providers, one is a consumer with a host that calls two of
// them. Four apps have ten objects.
func Write(dir string, n int) error {
	files := map[string]string{
		"cue.mod/module.cue": "module: \"example.com/bench@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"envs/site/site.cue": site,
		"envs/bench/env.cue": env,
		// An app list of its own, as a team would keep it.
		"envs/bench/apps.cue": apps(n),
	}
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const site = `package bench

import "github.com/seed-428f4edd/evenkeel/schema/core"

#Site: core.#Site & {
	name:   "bench"
	domain: "bench.example"
	networks: {nodes: "10.4.7.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	harbor: host: "harbor.bench.example"
	edge: {vip: "10.4.7.10", hosts: {"edge-1": "10.4.7.11", "edge-2": "10.4.7.12"}}
}
`

const env = `package bench

import (
	"github.com/seed-428f4edd/evenkeel/schema"
	"example.com/bench/envs/site:bench"
)

environment: schema.#Environment & {
	name: "bench"
	site: bench.#Site
	registry: zookeeper: servers: ["zk1.bench.example:2181"]
	defaults: replicas: 2
}
`

func apps(n int) string {
	var b strings.Builder
	b.WriteString("package bench\n\nimport \"github.com/seed-428f4edd/evenkeel/schema\"\n\nenvironment: apps: {\n")
	for i := range n {
		image := fmt.Sprintf("harbor.bench.example/app/app-%04d:1.%d.0", i, i%7)
		if i%4 == 3 {
			fmt.Fprintf(&b, "\t\"app-%04d\": schema.#DubboConsumer & {image: %q, host: \"app-%04d.bench.example\", consumes: [\"app-%04d\", \"app-%04d\"]}\n",
				i, image, i, i-1, i-2)
			continue
		}
		fmt.Fprintf(&b, "\t\"app-%04d\": schema.#DubboProvider & {image: %q, replicas: %d}\n", i, image, 2+i%3)
	}
	b.WriteString("}\n")
	return b.String()
}
