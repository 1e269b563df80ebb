package scaffold

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// pipelines are the files of CI services, as the documentation links to them.
//
//go:embed ci
var pipelines embed.FS

// NoCI stands for a repository without a pipeline.
const NoCI = "none"

// ciService is a CI service: the name that asks for it, its file here and where
// the service looks for that in a repository.
type ciService struct{ name, file, path string }

func ciServices() []ciService {
	return []ciService{
		{"github", "github-actions.yml", ".github/workflows/evenkeel.yml"},
		{"gitlab", "gitlab-ci.yml", ".gitlab-ci.yml"},
		{"jenkins", "Jenkinsfile", "Jenkinsfile"},
		{"shell", "ci.sh", ".ci/ci.sh"},
	}
}

func checkCI(name string) error {
	names := []string{NoCI}
	for _, s := range ciServices() {
		names = append(names, s.name)
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("ci %q is not one of %s", name, strings.Join(names, ", "))
	}
	return nil
}

// pipeline is the CI file of a new repository, with evenkeel's version in it.
func pipeline(f Facts) ([]File, error) {
	for _, s := range ciServices() {
		if s.name != f.CI {
			continue
		}
		text, err := pipelines.ReadFile("ci/" + s.file)
		data := strings.ReplaceAll(string(text), "@latest # pin a version", "@"+f.Version)
		return []File{{Name: s.path, Data: []byte(data), Executable: strings.HasSuffix(s.path, ".sh")}}, err
	}
	return nil, nil
}
