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

// ciFile is a file of a CI service: the name that asks for it, its name here and where
// the service looks for it in a repository.
type ciFile struct{ name, file, path string }

func ciFiles() []ciFile {
	return []ciFile{
		{"github", "github-actions.yml", ".github/workflows/evenkeel.yml"},
		{"gitlab", "gitlab-ci.yml", ".gitlab-ci.yml"},
		{"jenkins", "Jenkinsfile", "Jenkinsfile"},
		{"shell", "ci.sh", ".ci/ci.sh"},
		{"flow", "flow-diff.yml", ".flow/evenkeel-diff.yml"},
		{"flow", "flow-apply.yml", ".flow/evenkeel-apply.yml"},
		{"flow", "ci.sh", ".ci/ci.sh"},
		{"gitee", "gitee-diff.yml", ".workflow/evenkeel-diff.yml"},
		{"gitee", "gitee-apply.yml", ".workflow/evenkeel-apply.yml"},
		{"gitee", "ci.sh", ".ci/ci.sh"},
	}
}

func checkCI(name string) error {
	names := []string{NoCI}
	for _, f := range ciFiles() {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("ci %q is not one of %s", name, strings.Join(names, ", "))
	}
	return nil
}

// pipeline are the CI files of a new repository, with evenkeel's version in them.
func pipeline(f Facts) ([]File, error) {
	var files []File
	for _, c := range ciFiles() {
		if c.name != f.CI {
			continue
		}
		text, err := pipelines.ReadFile("ci/" + c.file)
		if err != nil {
			return nil, err
		}
		data := strings.ReplaceAll(string(text), "@latest # pin a version", "@"+f.Version)
		files = append(files, File{Name: c.path, Data: []byte(data), Executable: strings.HasSuffix(c.path, ".sh")})
	}
	return files, nil
}
