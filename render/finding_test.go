package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestElsewhere holds that a mistake in what environments share is said once, with what
// one of them knows of it.
func TestElsewhere(t *testing.T) {
	at := func(env, path, message, didYouMean, rule string) Finding {
		return Finding{File: "envs/shared/apps.cue", Line: 7, Col: 3, Environment: env, Path: path, Message: message, DidYouMean: didYouMean, Rule: rule}
	}
	for name, tt := range map[string]struct {
		given Findings
		want  []string
	}{
		"a field that one environment recognises": {Findings{
			at("dev", "apps.spool.volumes.data.size", "unknown field", "", ""), at("live", "apps.spool.volumes.data.size", "unknown field", "claim.size", ""),
			at("qa", "apps.spool.volumes.data.size", "unknown field", "", ""),
		}, []string{`envs/shared/apps.cue:7:3: apps.spool.volumes.data.size: unknown field (did you mean "claim.size"?; in dev, live, qa)`}},
		"objects of several namespaces": {Findings{
			at("dev", "apps.depot Service/d/depot spec.ports[0].targetPort", `no container port named "htpp" in Deployment/d/depot`, "http", "service-port"),
			at("live", "apps.depot Service/l/depot spec.ports[0].targetPort", `no container port named "htpp" in Deployment/l/depot`, "http", "service-port"),
		}, []string{`envs/shared/apps.cue:7:3: apps.depot Service/d/depot spec.ports[0].targetPort: no container port named "htpp" in Deployment/d/depot (did you mean "http"?; in dev, live) [service-port]`}},
		"two mistakes": {Findings{
			at("dev", "apps.depot Service/d/depot spec.ports[0].port", "wrong type", "", "strict"), at("live", "apps.depot Service/l/other spec.ports[0].port", "wrong type", "", "strict"),
		}, []string{
			"envs/shared/apps.cue:7:3: apps.depot Service/d/depot spec.ports[0].port: wrong type [strict]",
			"envs/shared/apps.cue:7:3: apps.depot Service/l/other spec.ports[0].port: wrong type [strict]",
		}},
	} {
		var got []string
		for _, f := range tt.given.tidy() {
			got = append(got, f.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
