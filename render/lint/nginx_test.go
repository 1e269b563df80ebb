package lint

import (
	"strings"
	"testing"
)

// TestNginxOptions: of each annotation that ingress-nginx has ever read it is known what
// takes its place, where routes lead to the app and at an Ingress of Traefik.
func TestNginxOptions(t *testing.T) {
	options := nginxOptions()
	lines := 0
	for line := range strings.Lines(nginxAnnotations) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	if len(options) != lines || lines < 140 {
		t.Errorf("%d annotations in %d lines", len(options), lines)
	}
	for option, in := range options {
		if in.gateway == "" || in.traefik == "" {
			t.Errorf("%s: %+v", option, in)
		}
	}
}
