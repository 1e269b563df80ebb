// Package lint checks rendered environments: what the API server would refuse or
// warn of, what does not fit together, and what is unsafe. It knows neither CUE
// nor a cluster; what it is given are plain objects, and what it returns names
// the field, so that the caller can point to the line that it came from.
//
// Every rule has a name, and can be silenced for a unit with a reason.
package lint

import (
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Environment is what the rules look at.
type Environment struct {
	Name              string
	Namespace         string
	Cluster           string // identity of the cluster: rules between environments hold within one
	KubernetesVersion string
	After             []string
	PromotionFrom     string // the environment that images come from
	Was               string
	Site              map[string]any
	Registry          map[string]any
	Registries        map[string]any // further ones, by name
	External          map[string]any
	NetworkPolicy     map[string]any
	Definitions       []map[string]any // of custom resources, beside those among the objects
	Disabled          []string         // the names of units that the environment leaves out
	Upgrade           bool             // asked is what stands in the way of KubernetesVersion
	Units             []Unit
}

// Unit is a stack or an app with its objects.
type Unit struct {
	Name     string
	Type     string
	App      bool           // an app, not a stack
	Fields   map[string]any // as the definitions export them; of an app AppFields
	Weighed  bool           // its canary has an IngressRoute of Traefik beside its Ingress
	Silence  map[string]string
	Consumes []string
	After    []string // the names of units that are healthy before
	Objects  []Object
}

// AppFields are the fields of an app that rules read.
var AppFields = []string{"account", "dubbo", "host", "ingress", "java", "metrics", "preStopSeconds", "registry", "routes", "spring", "tls", "volumes"} //nolint:gochecknoglobals // a table

// at is a field of the unit; nil where it is absent, or of an app of the schema
// and not one of AppFields.
func (u Unit) at(path ...string) any { return tree.At(u.Fields, path...) }

// made says whether a type of the schema makes the objects of the unit from its fields.
func (u Unit) made() bool { return u.App && u.Type != "Objects" && u.Type != "Chart" }

// Registers says whether the unit is an app of a type that uses a registry.
func (u Unit) Registers() bool {
	return u.App && (strings.HasPrefix(u.Type, "Dubbo") || strings.HasPrefix(u.Type, "Spring") || u.Type == "Gateway")
}

// Object is one object and its key in the unit.
type Object struct {
	Key       string
	Kind      string
	Namespace string
	Name      string
	Content   map[string]any
	Gated     []typed.Gated
}

// Namespaced says of a custom resource that its kind lives in namespaces, as far as rules
// look at such kinds: their definition need not be at hand.
func Namespaced(o Object) bool {
	switch group(o) {
	case "gateway.networking.k8s.io":
		return o.Kind != "GatewayClass"
	case "cert-manager.io":
		return o.Kind != "ClusterIssuer"
	case "monitoring.coreos.com", "traefik.io":
		return true
	}
	return false
}

func (o Object) ref() string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// Finding is what a rule found. Path is below the object with that Key; without
// a key it is below the unit, and without a unit below the environment.
type Finding struct {
	Rule       string
	Warning    bool
	Unit       string
	Key        string
	Path       typed.Path
	Message    string
	Expected   string
	Found      string
	DidYouMean string
	Hint       string
	Absent     *Absent
}

// Absent is an object that pods refer to and nobody makes or declares, with the keys that
// they read.
type Absent struct {
	Kind, Namespace, Name string
	Keys                  []string
	Declared              bool // without these keys
}

// Rules are the names of all rules, in lexical order.
func Rules() []string {
	names := []string{ruleSilence, RuleServer, RuleWay, RuleChart}
	for _, r := range rules() {
		names = append(names, r.names...)
	}
	for _, r := range betweenRules() {
		names = append(names, r.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// rule is a check of one environment; it may report under several names.
type rule struct {
	names []string
	check func(*world)
}

func rules() []rule {
	return []rule{
		{[]string{RuleVersion, RuleDeprecated}, checkVersions},
		{[]string{RuleGate}, checkGates},
		{[]string{RuleTested}, checkTested},
		{[]string{RuleCustomResource}, checkCustomResources},
		{[]string{"name"}, checkNames},
		{[]string{"duplicate"}, checkLists},
		{[]string{"selector"}, checkSelectors},
		{[]string{"selector"}, checkPolicies},
		{[]string{"namespace"}, checkScopes},
		{[]string{"size"}, checkSizes},
		{[]string{"size"}, checkUnits},
		{[]string{"container"}, checkContainers},
		{[]string{"container"}, checkContainerPorts},
		{[]string{"probe"}, checkProbes},
		{[]string{"variable"}, checkVariables},
		{[]string{"disruption-budget"}, checkBudgets},
		{[]string{"partition", "claim"}, checkReplicas},
		{[]string{"host"}, checkDomains},
		{[]string{"ingress"}, checkIngressFields},
		{[]string{"service-port"}, checkMonitors},
		{[]string{"service-port"}, checkServices},
		{[]string{"ingress"}, checkIngresses},
		{[]string{"ingress"}, checkGatewayRoutes},
		{[]string{RuleReference}, checkReferences},
		{[]string{"volume"}, checkVolumes},
		{[]string{"host-port"}, checkHostPorts},
		{[]string{"node-port"}, checkNodePorts},
		{[]string{"strategy"}, checkStrategies},
		{[]string{"schedule"}, checkSchedules},
		{[]string{"heap"}, checkHeaps},
		{[]string{"registry"}, checkRegistry},
		{[]string{"consumes"}, checkConsumes},
		{[]string{"autoscaler"}, checkAutoscalers},
		{[]string{"shutdown"}, checkShutdown},
		{[]string{"network"}, checkNetwork},
		{[]string{"edge"}, checkEdge},
		{[]string{"image"}, checkImages},
		{[]string{"password"}, checkPasswords},
		{[]string{"cluster-admin"}, checkClusterAdmin},
		{[]string{"rights"}, checkRights},
		{[]string{"order"}, checkWebhooks},
		{[]string{"open-access"}, checkOpenAccess},
		{[]string{rulePodSecurity}, checkPodSecurity},
	}
}

const ruleSilence = "silence"

// RuleVersion is about API versions that are gone, RuleDeprecated about what goes.
const (
	RuleVersion    = "api-version"
	RuleDeprecated = "deprecated"
	// RuleGate is about fields that the API server drops unless a feature gate is on.
	RuleGate = "feature-gate"
	// RuleTested is about releases of systems that are not for a version of Kubernetes.
	RuleTested = "kubernetes-version"
)

// RuleReference is about names in pods that lead to no object.
const RuleReference = "reference"

// RuleCustomResource holds custom resources to their definition.
const RuleCustomResource = "custom-resource"

// RuleDefinition is about custom resources whose definition nobody brings.
const RuleDefinition = "definition"

// RuleWay is about URLs that would not be answered: render/way finds them.
const RuleWay = "way"

// RuleChart is about values that a Helm chart does not take as they are: render says so.
const RuleChart = "chart"

// RuleServer is about what the API server itself would refuse: render/server says it.
const RuleServer = "server"

// Check applies the rules that look at one environment.
func Check(env Environment) []Finding {
	w := newWorld(env)
	for _, r := range rules() {
		r.check(w)
	}
	checkSilence(w)
	return w.spoken()
}

// checkSilence finds silenced rules that do not exist: a typo would silence
// nothing, and a renamed rule everything but itself.
func checkSilence(w *world) {
	known := Rules()
	for i := range w.env.Units {
		u := &w.env.Units[i]
		for _, name := range sortedKeys(u.Silence) {
			if slices.Contains(known, name) {
				continue
			}
			w.report(Finding{
				Rule: ruleSilence, Unit: u.Name, Path: typed.Path{"silence", name},
				Message: "no rule of this name", DidYouMean: typed.Closest(name, known),
			})
		}
	}
}
