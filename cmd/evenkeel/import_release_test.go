package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/importer"
)

// TestReleaseBudget: the chart of a release that does not end is given up.
func TestReleaseBudget(t *testing.T) {
	t.Parallel()
	loaded, err := chart.FromFiles(map[string][]byte{
		"Chart.yaml":       []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n"),
		"templates/a.yaml": []byte("{{ range until 4000 }}{{ range until 4000 }}{{ end }}{{ end }}"), // some seconds
	})
	if err != nil {
		t.Fatal(err)
	}
	release := &chart.Release{Name: "web", Namespace: "dev", Chart: "web", Version: "1.0.0"}
	_, err = importWithin(t.Context(), budget.Budget{Time: 100 * time.Millisecond}, release, loaded, importer.ReleaseOptions{Unit: "web"})
	if err == nil || !strings.Contains(err.Error(), "the chart of Helm release web is not rendered after 100ms: --render-timeout gives it more time") {
		t.Errorf("got %v", err)
	}
}
