package render

import (
	"cmp"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// sortUnits puts every unit behind all that it needs, by name where nothing else
// decides. Unknown names and cycles are findings. Off are the names of units that the
// environment leaves out.
func (ev *evaluated) sortUnits(units []*unit, off []string) ([]*unit, Findings) {
	byName := map[string]*unit{}
	names := make([]string, 0, len(units))
	var findings Findings
	for _, u := range units {
		if other, ok := byName[u.data.Name]; ok {
			f := ev.at(u, nil)
			f.Message = "a unit of this name stands in " + other.group + " too"
			f.Hint = "names of stacks and apps are unique in an environment"
			findings = append(findings, f)
			continue
		}
		byName[u.data.Name] = u
		names = append(names, u.data.Name)
	}
	slices.Sort(names)
	for _, u := range units {
		for i, name := range u.data.After {
			if byName[name] != nil {
				continue
			}
			f := ev.at(u, typed.Path{"after", i})
			f.Message = "no unit " + quote(name) + " in this environment"
			f.DidYouMean = typed.Closest(name, names)
			if slices.Contains(off, name) {
				f.Message, f.DidYouMean = lint.LeftOut(name), ""
			}
			findings = append(findings, f)
		}
	}
	if len(findings) > 0 {
		return units, findings
	}

	sorter := unitSorter{byName: byName, state: map[string]visit{}}
	if byName[schema.UnitEnvironment] != nil {
		sorter.visit(schema.UnitEnvironment)
	}
	for _, name := range names {
		sorter.visit(name)
	}
	for _, cycle := range sorter.cycles {
		f := ev.at(byName[cycle[0]], typed.Path{"after"})
		f.Message = "units wait for each other: " + strings.Join(append(cycle, cycle[0]), " -> ")
		findings = append(findings, f)
	}
	return sorter.sorted, findings
}

// visit is how far the search has come with a unit.
type visit int

const (
	onPath visit = iota + 1
	done
)

type unitSorter struct {
	byName map[string]*unit
	state  map[string]visit
	path   []string
	sorted []*unit
	cycles [][]string
}

func (s *unitSorter) visit(name string) {
	switch s.state[name] {
	case done:
		return
	case onPath:
		s.cycles = append(s.cycles, slices.Clone(s.path[slices.Index(s.path, name):]))
		return
	}
	s.state[name] = onPath
	s.path = append(s.path, name)
	for _, before := range slices.Sorted(slices.Values(s.byName[name].data.After)) {
		s.visit(before)
	}
	s.path = s.path[:len(s.path)-1]
	s.state[name] = done
	s.sorted = append(s.sorted, s.byName[name])
}

// kindOrder is the order of the objects of a unit: what others stand in or refer
// to comes first, what intercepts requests last. It follows Helm's install order,
// with the kinds since. What bears one of these names in another group is a custom
// resource.
func kindOrder(gk kschema.GroupKind) int {
	switch gk.String() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return 1
	case "PriorityClass.scheduling.k8s.io", "RuntimeClass.node.k8s.io", "StorageClass.storage.k8s.io", "VolumeAttributesClass.storage.k8s.io", "IngressClass.networking.k8s.io", "GatewayClass.gateway.networking.k8s.io", "DeviceClass.resource.k8s.io", "CSIDriver.storage.k8s.io":
		return 2
	case "ResourceQuota", "LimitRange", "NetworkPolicy.networking.k8s.io", "PodDisruptionBudget.policy":
		return 3
	case "ServiceAccount":
		return 4
	case "Secret":
		return 5
	case "ConfigMap":
		return 6
	case "PersistentVolume":
		return 7
	case "PersistentVolumeClaim":
		return 8
	case "ClusterRole.rbac.authorization.k8s.io":
		return 9
	case "ClusterRoleBinding.rbac.authorization.k8s.io":
		return 10
	case "Role.rbac.authorization.k8s.io":
		return 11
	case "RoleBinding.rbac.authorization.k8s.io":
		return 12
	case "Service":
		return 13
	case "Endpoints", "EndpointSlice.discovery.k8s.io":
		return 14
	case "DaemonSet.apps":
		return 15
	case "Pod":
		return 16
	case "ReplicationController", "ReplicaSet.apps":
		return 17
	case "Deployment.apps":
		return 18
	case "StatefulSet.apps":
		return 19
	case "HorizontalPodAutoscaler.autoscaling":
		return 20
	case "Job.batch":
		return 21
	case "CronJob.batch":
		return 22
	case "Ingress.networking.k8s.io":
		return 23
	case "APIService.apiregistration.k8s.io":
		return 25
	case "ValidatingAdmissionPolicy.admissionregistration.k8s.io", "MutatingAdmissionPolicy.admissionregistration.k8s.io":
		return 26
	case "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding.admissionregistration.k8s.io":
		return 27
	case "MutatingWebhookConfiguration.admissionregistration.k8s.io", "ValidatingWebhookConfiguration.admissionregistration.k8s.io":
		return 28
	default: // custom resources, behind the controllers that know them
		return 24
	}
}

func compareObjects(a, b *object) int {
	return cmp.Or(
		cmp.Compare(a.stage, b.stage),
		cmp.Compare(kindOrder(a.GroupVersionKind().GroupKind()), kindOrder(b.GroupVersionKind().GroupKind())),
		cmp.Compare(a.GetKind(), b.GetKind()),
		cmp.Compare(a.GetAPIVersion(), b.GetAPIVersion()),
		cmp.Compare(a.GetNamespace(), b.GetNamespace()),
		cmp.Compare(a.GetName(), b.GetName()),
	)
}
