package render

import kschema "k8s.io/apimachinery/pkg/runtime/schema"

// removed says whether a kind once stood in a built-in group and is gone.
func removed(gvk kschema.GroupVersionKind) bool { return false }
