package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Registries that weigh: who looks for an app there gets a number with each pod, and
// sends calls in proportion to it. A pod says its own at its start, so the canary can have
// another one, and the app stays as it is.
const (
	// dubboWeight sets the default of all services of a provider, of which each has 100
	// (dubbo.apache.org, "dubbo:provider": weight; the same in 2.5 to 3.3).
	dubboWeight = "-Ddubbo.provider.weight="
	// dubboExports stands where the schema has a Java provider say its port.
	dubboExports = "-Ddubbo.protocol.port="
	// nacosServer is there where an app registers in Nacos, nacosWeight is its weight, of
	// which each has 1 (spring-cloud-alibaba, NacosDiscoveryProperties).
	nacosServer = "SPRING_CLOUD_NACOS_DISCOVERY_SERVER_ADDR"
	nacosWeight = "SPRING_CLOUD_NACOS_DISCOVERY_WEIGHT"
)

// weigh are the variables by which the pods of a unit's canary tell the registry a weight,
// of a hundred.
func (u *unit) weigh(weight int) []schema.CanaryEnv {
	var all []schema.CanaryEnv
	u.eachVariable(func(deployment, container, name, value string) {
		env := schema.CanaryEnv{Deployment: deployment, Container: container}
		switch {
		case strings.Contains(value, dubboExports):
			env.Name, env.Value, env.Append = name, " "+dubboWeight+strconv.Itoa(weight), true
		case name == nacosServer:
			env.Name, env.Value = nacosWeight, strconv.FormatFloat(float64(weight)/100, 'g', -1, 64)
		default:
			return
		}
		all = append(all, env)
	})
	return all
}

// notWeighed says where a canary is to have a weight that nobody would look at, or that
// the app has already.
func (u *unit) notWeighed(c *schema.Canary) []string {
	if c.Weight == 0 {
		return nil
	}
	var messages []string
	for _, o := range u.objs {
		if o.GetKind() != "Deployment" || slices.ContainsFunc(c.Env, func(e schema.CanaryEnv) bool { return e.Deployment == o.GetName() }) ||
			slices.ContainsFunc(c.Routes, func(r schema.CanaryRoute) bool { return r.Deployment == o.GetName() }) {
			continue
		}
		message := fmt.Sprintf("nothing that calls %s goes by weights: it is no Dubbo provider in Java, does not register in Nacos, and no Ingress of Traefik or route of a Gateway leads to it", o.ref())
		if _, why := u.shared(o); why != "" {
			message = fmt.Sprintf("nothing that calls %s goes by weights: %s", o.ref(), why)
		}
		messages = append(messages, message)
	}
	u.eachVariable(func(_, _, name, value string) {
		if strings.Contains(value, dubboWeight) || name == nacosWeight {
			messages = append(messages, name+" gives the app a weight already")
		}
	})
	return messages
}

// eachVariable calls do with the environment of the containers of a unit's Deployments.
func (u *unit) eachVariable(do func(deployment, container, name, value string)) {
	for _, o := range u.objs {
		if o.GetKind() != "Deployment" {
			continue
		}
		for _, c := range tree.List(tree.At(o.Object, "spec", "template", "spec", "containers")) {
			for _, e := range tree.List(tree.Map(c)["env"]) {
				do(o.GetName(), tree.Text(tree.Map(c)["name"]), tree.Text(tree.Map(e)["name"]), tree.Text(tree.Map(e)["value"]))
			}
		}
	}
}
