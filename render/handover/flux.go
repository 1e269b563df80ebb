package handover

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Source is where an engine reads the manifests of an environment.
type Source struct {
	// URL is oci://REPOSITORY[:TAG], or that of a git repository of rendered
	// manifests.
	URL string
	// Ref is a git branch, Path a directory in the repository.
	Ref, Path string
	// Secret names the Secret with the credentials for it; empty means none.
	Secret string
	// PlainHTTP allows a registry without TLS.
	PlainHTTP bool
}

// oci takes an OCI address apart.
func (s Source) oci() (repository, tag string, ok bool) {
	address, ok := strings.CutPrefix(s.URL, "oci://")
	if !ok {
		return "", "", false
	}
	tag = "latest"
	if i := strings.LastIndex(address, ":"); i > strings.LastIndex(address, "/") {
		address, tag = address[:i], address[i+1:]
	}
	return "oci://" + address, tag, true
}

// Options bend the objects of an engine.
type Options struct {
	Source Source
	// Namespace is the engine's own: flux-system, argocd.
	Namespace string
	// Interval is how often the source is read, Timeout how long health is waited
	// for.
	Interval, Timeout time.Duration
}

// Flux are the objects that make Flux (source-controller and kustomize-controller
// 1.9) apply an environment: a source and a Kustomization that waits for health,
// prunes, follows the environments that this one comes after, and leaves alone
// what the environment ignores. What Flux cannot do is in notes.
func Flux(env *schema.Environment, opts Options) (objects []map[string]any, notes []string) {
	source := fluxSource(env.Name, opts)
	kustomization := map[string]any{
		"interval":      opts.Interval.String(),
		"retryInterval": "1m0s",
		"timeout":       opts.Timeout.String(),
		"prune":         true,
		"wait":          true,
		"path":          "./" + strings.TrimPrefix(opts.Source.Path, "./"),
		"sourceRef":     map[string]any{"kind": source["kind"], "name": env.Name},
	}
	var after, ignore, health []any
	for _, name := range env.After {
		after = append(after, map[string]any{"name": name})
	}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			if len(o.Ignore) > 0 {
				target := map[string]any{"kind": o.GetKind(), "name": o.GetName()}
				set(target, "group", o.GroupVersionKind().Group)
				set(target, "namespace", o.GetNamespace())
				ignore = append(ignore, map[string]any{"paths": list(o.Ignore), "target": target})
			}
			if o.Ready == nil {
				continue
			}
			if o.Ready.Condition == "" {
				notes = append(notes, fmt.Sprintf("%s/%s: Flux has no health rule for one object: its CEL rule is left out", o.GetKind(), o.GetName()))
				continue
			}
			health = append(health, map[string]any{
				"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(),
				"current": fmt.Sprintf("status.conditions.exists(c, c.type == %q && c.status == 'True')", o.Ready.Condition),
			})
		}
	}
	setList(kustomization, "dependsOn", after)
	setList(kustomization, "ignore", ignore)
	setList(kustomization, "healthCheckExprs", unique(health))
	notes = append(notes, common(env, "kustomize.toolkit.fluxcd.io/prune: disabled")...)
	return []map[string]any{source, object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", env.Name, opts.Namespace, kustomization)}, notes
}

func fluxSource(name string, opts Options) map[string]any {
	spec := map[string]any{"interval": opts.Interval.String()}
	if opts.Source.Secret != "" {
		spec["secretRef"] = map[string]any{"name": opts.Source.Secret}
	}
	kind := "GitRepository"
	if repository, tag, ok := opts.Source.oci(); ok {
		kind = "OCIRepository"
		spec["url"], spec["ref"] = repository, map[string]any{"tag": tag}
		if opts.Source.PlainHTTP {
			spec["insecure"] = true
		}
	} else {
		spec["url"], spec["ref"] = opts.Source.URL, map[string]any{"branch": opts.Source.Ref}
	}
	return object("source.toolkit.fluxcd.io/v1", kind, name, opts.Namespace, spec)
}

// common are notes for every engine.
func common(env *schema.Environment, keep string) []string {
	var notes []string
	for _, u := range env.Units {
		for _, o := range u.Objects {
			if o.GetAnnotations()[schema.AnnotationPrune] == "disabled" {
				notes = append(notes, fmt.Sprintf("%s/%s is kept by %s: give it %s too", o.GetKind(), o.GetName(), schema.AnnotationPrune, keep))
			}
		}
	}
	return notes
}

func object(apiVersion, kind, name, namespace string, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": apiVersion, "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace},
		"spec":     spec,
	}
}

func set(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

func setList(m map[string]any, key string, value []any) {
	if len(value) > 0 {
		m[key] = value
	}
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// unique leaves out rules that are there already: those of one kind hold for all
// of its objects.
func unique(rules []any) []any {
	seen := map[string]bool{}
	var out []any
	for _, r := range rules {
		if key := fmt.Sprint(r); !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	return out
}
