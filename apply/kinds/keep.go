package kinds

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// keepWord is a word of another tool on an object that it must not delete.
type keepWord struct {
	key   string
	value string
	among bool // value is one of several, with commas between them
}

// keepWords are what their documentation says. Some of the tools read labels for it, too.
func keepWords() []keepWord {
	return []keepWord{
		{"helm.sh/resource-policy", "keep", false},                // helm.sh/docs/howto/charts_tips_and_tricks
		{"argocd.argoproj.io/sync-options", "prune=false", true},  // argo-cd.readthedocs.io/en/stable/user-guide/sync-options
		{"argocd.argoproj.io/sync-options", "delete=false", true}, // of the whole application, not of one object alone
		{"argocd.argoproj.io/sync-options", "prune=confirm", true},
		{"argocd.argoproj.io/sync-options", "delete=confirm", true},
		{"kustomize.toolkit.fluxcd.io/prune", "disabled", false}, // fluxcd.io/flux/components/kustomize/kustomizations
		{"kapp.k14s.io/delete-strategy", "orphan", false},        // carvel.dev/kapp/docs
		{"client.lifecycle.config.k8s.io/deletion", "detach", false},
		{"cli-utils.sigs.k8s.io/on-remove", "keep", false}, // kpt.dev
	}
}

// KeptByWord is the annotation or label, with its value, by which another tool was told
// not to delete an object; "" where there is none.
func KeptByWord(u *unstructured.Unstructured) string {
	for _, marks := range []map[string]string{u.GetAnnotations(), u.GetLabels()} {
		for _, word := range keepWords() {
			have, ok := marks[word.key]
			if !ok {
				continue
			}
			values := []string{have}
			if word.among {
				values = strings.Split(have, ",")
			}
			for _, value := range values {
				if strings.EqualFold(strings.TrimSpace(value), word.value) {
					return word.key + ": " + strings.TrimSpace(value)
				}
			}
		}
	}
	return ""
}
