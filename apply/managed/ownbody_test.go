package managed

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestOwnBodyLeavesOutWhatTheServerFilledIn(t *testing.T) {
	live := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {note: somebody}
  managedFields:
  - manager: evenkeel
    operation: Apply
    apiVersion: apps/v1
    fieldsV1:
      f:spec:
        f:replicas: {}
        f:template:
          f:spec:
            f:containers:
              k:{"name":"app"}: {.: {}, f:name: {}, f:image: {}, f:tty: {}}
              k:{"name":"old"}: {.: {}, f:name: {}}
spec:
  replicas: 2
  revisionHistoryLimit: 10
  template:
    spec:
      restartPolicy: Always
      containers:
      - {name: app, image: "img:1", tty: true, imagePullPolicy: Always, args: [a]}
      - {name: old}
      - {name: injected}
`)
	desired := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template: {spec: {containers: [{name: app, image: "img:2", args: [b]}, {name: new}]}}
`)
	want := applytest.Object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  template: {spec: {containers: [{name: app, image: "img:1", tty: true, args: [a]}, {name: old}]}}
`)
	if diff := cmp.Diff(want.Object, OwnBody(live, desired).Object); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}
