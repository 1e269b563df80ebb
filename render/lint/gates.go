package lint

import (
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkGates: what a feature gate guards does nothing where that is off.
func checkGates(w *world) {
	now := Minor(w.env.KubernetesVersion)
	for _, o := range w.objects {
		for _, g := range o.Gated {
			if g.On > 0 && g.On <= now {
				continue
			}
			f := o.at(RuleGate, g.Path...)
			f.Warning = true
			f.Message = fmt.Sprintf("does nothing where the feature gate %s is off, as it is by default", g.Gate)
			if g.On > 0 {
				f.Message += fmt.Sprintf(" before Kubernetes 1.%d", g.On)
			}
			f.Hint = fmt.Sprintf("where it is on: silence: %q: \"...\"", RuleGate)
			w.report(f)
		}
	}
}

// tested are releases of what the stacks install with the minor versions of Kubernetes that
// their projects name: README of kubernetes/ingress-nginx ("Supported Versions table") and of
// metrics-server ("Compatibility Matrix"), release notes of the dashboard ("Compatibility").
// The projects of the others name none.
var tested = []struct { //nolint:gochecknoglobals // a table
	system, image, release string
	oldest, newest         int
}{
	{"ingress-nginx", "/ingress-nginx/controller", "v1.15.", 31, 35},
	{"ingress-nginx", "/ingress-nginx/controller", "v1.14.", 30, 34},
	{"ingress-nginx", "/ingress-nginx/controller", "v1.13.", 29, 33},
	{"metrics-server", "/metrics-server/metrics-server", "v0.9.", 34, 0},
	{"metrics-server", "/metrics-server/metrics-server", "v0.8.", 31, 0},
	{"the dashboard", "/kubernetesui/dashboard", "v2.7.", 0, 25},
}

// checkTested: a release that is for newer versions of Kubernetes, and before an upgrade
// one that nobody tried with that version.
func checkTested(w *world) {
	now := Minor(w.env.KubernetesVersion)
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			_, tag, _ := splitImage(tree.Text(c["image"]))
			name, _, _ := strings.Cut(tree.Text(c["image"]), ":"+tag)
			for _, t := range tested {
				if !strings.HasSuffix(name, t.image) || !strings.HasPrefix(tag, t.release) {
					continue
				}
				f := p.located.at(RuleTested, append(path, "image")...)
				f.Warning = true
				switch {
				case t.oldest > now:
					f.Message = fmt.Sprintf("%s %s is for Kubernetes 1.%d and newer", t.system, tag, t.oldest)
				case w.env.Upgrade && t.newest > 0 && t.newest < now:
					f.Message = fmt.Sprintf("%s %s was tested by its project up to Kubernetes 1.%d", t.system, tag, t.newest)
				default:
					return
				}
				w.report(f)
			}
		})
	}
}
