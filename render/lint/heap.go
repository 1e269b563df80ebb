package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// heapOption is what sets the most that a JVM's heap takes.
var heapOption = regexp.MustCompile(`(?:^|\s)-Xmx([0-9]+[kKmMgG]?)(?:\s|$)`)

// heapVariable names the variables of images that hand one value to -Xmx.
const heapVariable = "JVM_XMX"

// checkHeaps: a heap as large as the container's memory limit leaves nothing for
// the rest of the JVM: the kernel ends it when the heap fills.
func checkHeaps(w *world) {
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			limit, err := resource.ParseQuantity(tree.Text(tree.At(c, "resources", "limits", "memory")))
			request, _ := resource.ParseQuantity(tree.Text(tree.At(c, "resources", "requests", "memory")))
			if err != nil || limit.Cmp(leastMemory()) < 0 || limit.Cmp(request) < 0 {
				return // the limit itself is wrong, and that is said
			}
			check := func(heap string, at ...any) {
				size, ok := heapBytes(heap)
				if !ok || size < limit.Value() {
					return
				}
				f := p.located.at("heap", append(slices.Clip(path), at...)...)
				if tree.Text(p.unit.at("java", "heap")) == heap {
					f = Finding{Rule: "heap", Unit: p.unit.Name, Path: typed.Path{"java", "heap"}}
				}
				f.Message = fmt.Sprintf("a heap of %s does not fit into the memory limit of %s", heap, limit.String())
				f.Hint = "a JVM takes about a third more than its heap"
				w.report(f)
			}
			tree.Each(c["env"], func(i int, env map[string]any) {
				value := tree.Text(env["value"])
				if env["name"] == heapVariable {
					check(value, "env", i, "value")
				} else if heap := heapIn(value); heap != "" {
					check(heap, "env", i, "value")
				}
			})
			for _, field := range []string{"command", "args"} {
				for i, arg := range tree.Texts(c[field]) {
					if heap := heapIn(arg); heap != "" {
						check(heap, field, i)
					}
				}
			}
		})
	}
}

// heapIn is the heap that options set, or nothing. Most texts are long and set none:
// to see that is cheaper than to match.
func heapIn(options string) string {
	if !strings.Contains(options, "-Xmx") {
		return ""
	}
	if m := heapOption.FindStringSubmatch(options); m != nil {
		return m[1]
	}
	return ""
}

// heapBytes reads a size as the JVM does: k, m and g are powers of 1024.
func heapBytes(heap string) (int64, bool) {
	unit := map[byte]string{'k': "Ki", 'K': "Ki", 'm': "Mi", 'M': "Mi", 'g': "Gi", 'G': "Gi"}
	if heap == "" {
		return 0, false
	}
	if suffix, ok := unit[heap[len(heap)-1]]; ok {
		heap = heap[:len(heap)-1] + suffix
	}
	q, err := resource.ParseQuantity(heap)
	return q.Value(), err == nil
}
