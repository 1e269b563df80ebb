package handover

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// ArgoCD is the Application that makes Argo CD 3.1 or newer apply an environment:
// it prunes, heals, applies server-side and leaves alone what the environment
// ignores. wave orders Applications of one app of apps: Argo CD knows no
// dependency between others.
func ArgoCD(env *schema.Environment, wave int, opts Options) (app map[string]any, notes []string) {
	source := map[string]any{"repoURL": opts.Source.URL, "targetRevision": opts.Source.Ref}
	if repository, tag, ok := opts.Source.oci(); ok {
		source["repoURL"], source["targetRevision"] = repository, tag
		notes = append(notes, "Argo CD unpacks Flux artifacts only where its repo server has --oci-layer-media-types application/vnd.cncf.flux.content.v1.tar+gzip")
	}
	source["path"] = "."
	if path := strings.TrimPrefix(opts.Source.Path, "./"); path != "" {
		source["path"] = path
	}
	spec := map[string]any{
		"project":     "default",
		"source":      source,
		"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": env.Namespace},
		"syncPolicy": map[string]any{
			"automated":   map[string]any{"prune": true, "selfHeal": true},
			"syncOptions": list([]string{"ServerSideApply=true", "RespectIgnoreDifferences=true", "PruneLast=true"}),
		},
	}
	var ignore []any
	for _, u := range env.Units {
		for _, o := range u.Objects {
			if len(o.Ignore) > 0 {
				rule := map[string]any{"kind": o.GetKind(), "name": o.GetName(), "jsonPointers": list(o.Ignore)}
				set(rule, "group", o.GroupVersionKind().Group)
				set(rule, "namespace", o.GetNamespace())
				ignore = append(ignore, rule)
			}
			if o.Ready != nil {
				notes = append(notes, fmt.Sprintf("%s/%s: Argo CD keeps health rules in argocd-cm (resource.customizations.health): its own is left out", o.GetKind(), o.GetName()))
			}
		}
	}
	if len(env.Controllers) > 0 {
		ignore = append(ignore, map[string]any{"group": "*", "kind": "*", "managedFieldsManagers": list(env.Controllers)})
	}
	setList(spec, "ignoreDifferences", ignore)
	app = object("argoproj.io/v1alpha1", "Application", env.Name, opts.Namespace, spec)
	if wave > 0 {
		app["metadata"].(map[string]any)["annotations"] = map[string]any{"argocd.argoproj.io/sync-wave": strconv.Itoa(wave)} //nolint:forcetypeassert // object made it
	}
	return app, append(notes, common(env, "argocd.argoproj.io/sync-options: Prune=false")...)
}
