package importer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClaim holds that the volume of a claim stays where somebody named it.
func TestClaim(t *testing.T) {
	claim := func(annotations map[string]any) Object {
		return Object{"kind": "PersistentVolumeClaim", "metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"volumeName": "v"}}
	}
	for want, obj := range map[string]Object{"v": claim(map[string]any{"pv.kubernetes.io/bind-completed": "yes"}), "": claim(map[string]any{"pv.kubernetes.io/bound-by-controller": "yes"})} {
		clean(obj)
		dropDefaults(obj)
		if got := text(obj, "spec", "volumeName"); got != want {
			t.Errorf("got the volume %q, want %q", got, want)
		}
	}
}

// TestJobSelector holds that a selector stays that somebody wrote.
func TestJobSelector(t *testing.T) {
	spec := map[string]any{"manualSelector": true, "selector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}
	dropJob(spec)
	if spec["selector"] == nil || spec["manualSelector"] != true {
		t.Errorf("got %v", spec)
	}
}

// TestService holds what of a Service the server has written, and what somebody meant.
func TestService(t *testing.T) {
	for _, tt := range []struct {
		name       string
		spec, want map[string]any
	}{
		{"as the server shows it", map[string]any{
			"type": "ClusterIP", "clusterIP": "192.168.0.7", "clusterIPs": []any{"192.168.0.7"}, "ipFamilies": []any{"IPv4"}, "ipFamilyPolicy": "SingleStack",
			"internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
		}, map[string]any{}},
		{"headless", map[string]any{"clusterIP": "None", "clusterIPs": []any{"None"}, "ipFamilies": []any{"IPv4"}, "ipFamilyPolicy": "SingleStack"}, map[string]any{"clusterIP": "None"}},
		{"an address of its own", map[string]any{"clusterIP": "192.168.0.2"}, map[string]any{"clusterIP": "192.168.0.2"}},
		{
			"two families",
			map[string]any{"ipFamilies": []any{"IPv4", "IPv6"}, "ipFamilyPolicy": "RequireDualStack"},
			map[string]any{"ipFamilies": []any{"IPv4", "IPv6"}, "ipFamilyPolicy": "RequireDualStack"},
		},
		{"one of them", map[string]any{"ipFamilies": []any{"IPv6"}, "ipFamilyPolicy": "SingleStack"}, map[string]any{"ipFamilies": []any{"IPv6"}}},
		{"two where there are", map[string]any{"ipFamilies": []any{"IPv4"}, "ipFamilyPolicy": "PreferDualStack"}, map[string]any{"ipFamilies": []any{"IPv4"}, "ipFamilyPolicy": "PreferDualStack"}},
	} {
		dropService(tt.spec)
		if diff := cmp.Diff(tt.want, tt.spec); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
