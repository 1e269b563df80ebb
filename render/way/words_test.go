package way

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/seed-428f4edd/evenkeel/internal/words"
)

var (
	saidRE = regexp.MustCompile("\\.(?:Say|fault|refuse)\\((\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`)")
	verbRE = regexp.MustCompile(`%(?:\[\d\])?[a-z]`)
	atRE   = regexp.MustCompile(`\[\d\]`)
)

// verbs are what a format is filled with.
func verbs(text string) []string {
	all := verbRE.FindAllString(text, -1)
	for i := range all {
		all[i] = atRE.ReplaceAllString(all[i], "")
	}
	slices.Sort(all)
	return all
}

// TestChinese holds that every text that ways and graphs say has Chinese words with the
// same values in them, and that no words are left over.
func TestChinese(t *testing.T) {
	speech, found := chinese(), map[string]bool{}
	for _, pattern := range []string{"*.go", "draw/*.go", "../../cmd/evenkeel/sight.go", "../../cmd/evenkeel/ui.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range saidRE.FindAllStringSubmatch(string(source), -1) {
				text, err := strconv.Unquote(m[1])
				if err != nil {
					t.Fatal(err)
				}
				found[text] = true
				if other, ok := speech[text]; !ok || !slices.Equal(verbs(other), verbs(text)) {
					t.Errorf("%s: %q has the Chinese words %q", name, text, other)
				}
			}
		}
	}
	for _, kind := range []Kind{DNS, VIP, Edge, LoadBalancer, Controller, Route, Middleware, Service, Policy, Pods, App, Registry, Provider, External, APIServer, Redirect} {
		if _, ok := speech[string(kind)]; !ok && kind != DNS && kind != VIP && kind != APIServer {
			t.Errorf("no Chinese words for the kind %q", kind)
		}
		found[string(kind)] = true
	}
	for _, text := range []string{words.English, "healthy", "progressing", "unknown", Failed, unknownKind, "of an environment that you may not look at"} {
		found[text] = true
	}
	for text := range speech {
		if !found[text] {
			t.Errorf("nothing says %q", text)
		}
	}
	if len(found) < 200 {
		t.Errorf("only %d texts were found in the source", len(found))
	}
}
