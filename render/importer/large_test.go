package importer

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestLarge sorts four times as many objects: that takes about four times the memory in
// all, and not sixteen times.
func TestLarge(t *testing.T) {
	takes := func(apps int) uint64 {
		t.Helper()
		var text strings.Builder
		for i := range apps {
			fmt.Fprintf(&text, `apiVersion: apps/v1
kind: Deployment
metadata: {name: w%[1]d}
spec:
  selector: {matchLabels: {app: w%[1]d}}
  template:
    metadata: {labels: {app: w%[1]d}}
    spec:
      containers: [{name: main, image: "example.org/w:1", envFrom: [{configMapRef: {name: c%[1]d}}]}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: w%[1]d-data}}]
---
apiVersion: v1
kind: Service
metadata: {name: w%[1]d}
spec: {selector: {app: w%[1]d}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: w%[1]d-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c%[1]d}
data: {a: "1"}
---
`, i)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read, err := Read(strings.NewReader(text.String()), "all.yaml")
		if err != nil {
			t.Fatal(err)
		}
		imp, err := Objects(read.Items, Options{Namespace: "legacy", Env: "legacy"})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if len(imp.Units) != apps {
			t.Errorf("%d apps are in %d units", apps, len(imp.Units))
		}
		if u := imp.Units[0]; len(u.app.made) != 3 || len(u.Objects) != 1 || len(u.Reloads) != 1 {
			t.Errorf("%s makes %d objects, has %d, and reads %q anew", u.Name, len(u.app.made), len(u.Objects), u.Reloads)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	const few = 300
	if one, four := takes(few), takes(4*few); four > 6*one {
		t.Errorf("%d apps take %d MiB, %d take %d MiB", few, one>>20, 4*few, four>>20)
	}
}
