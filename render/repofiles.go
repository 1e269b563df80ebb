package render

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// repoFiles is what kustomize sees: the repository below /repo, read only, and
// beside it the kustomization of a unit, in memory.
type repoFiles struct {
	filesys.FileSystem // all that is not below /repo

	repo   fs.FS
	remote *remoteResource // the first refusal: kustomize words it as something else
}

// remoteResource says that a kustomization refers to something outside the
// repository, or asks for helm, which would.
type remoteResource struct {
	file, name string
	helm       bool // name is a field that asks for helm
}

func (e remoteResource) Error() string {
	who, what := "", e.name
	if e.file != "" {
		who = e.file + ": "
	}
	if e.helm {
		return fmt.Sprintf("%s%s: evenkeel runs no helm; write what helm template prints into the repository, as a resource", who, what)
	}
	if !isRemote(what) {
		what = strings.TrimPrefix(path.Clean(what), "../repo/")
	}
	return fmt.Sprintf("%s%s is not in the repository, and evenkeel fetches nothing", who, what)
}

// below returns the path inside the repository.
func (f repoFiles) below(name string) (string, bool) {
	name = path.Clean("/" + filepath.ToSlash(name))
	if name == repoDir {
		return ".", true
	}
	rel, ok := strings.CutPrefix(name, repoDir+"/")
	return rel, ok
}

// Exists implements filesys.FileSystem.
func (f repoFiles) Exists(name string) bool {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.Exists(name)
	}
	_, err := fs.Stat(f.repo, rel)
	return err == nil
}

// IsDir implements filesys.FileSystem.
func (f repoFiles) IsDir(name string) bool {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.IsDir(name)
	}
	info, err := fs.Stat(f.repo, rel)
	return err == nil && info.IsDir()
}

// ReadDir implements filesys.FileSystem.
func (f repoFiles) ReadDir(name string) ([]string, error) {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.ReadDir(name)
	}
	entries, err := fs.ReadDir(f.repo, rel)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// ReadFile implements filesys.FileSystem. A kustomization that refers to anything
// outside the repository is refused here, before kustomize would fetch it.
func (f repoFiles) ReadFile(name string) ([]byte, error) {
	data, shown, err := f.read(name)
	if err != nil || !isKustomization(name) {
		return data, err
	}
	return data, f.checkLocal(path.Dir(path.Clean("/"+filepath.ToSlash(name))), shown, data)
}

func (f repoFiles) read(name string) (data []byte, shown string, err error) {
	rel, ok := f.below(name)
	if !ok {
		data, err = f.FileSystem.ReadFile(name)
		return data, "", err
	}
	data, err = fs.ReadFile(f.repo, rel)
	return data, rel, err
}

// Open implements filesys.FileSystem.
func (f repoFiles) Open(name string) (filesys.File, error) {
	if _, ok := f.below(name); ok {
		return nil, errors.ErrUnsupported // kustomize reads whole files
	}
	return f.FileSystem.Open(name)
}

// CleanedAbs implements filesys.FileSystem.
func (f repoFiles) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.CleanedAbs(name)
	}
	info, err := fs.Stat(f.repo, rel)
	if err != nil {
		return "", "", fmt.Errorf("%s is not in the repository", rel)
	}
	abs := path.Join(repoDir, rel)
	if info.IsDir() {
		return filesys.ConfirmedDir(abs), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(abs)), path.Base(abs), nil
}

// Glob implements filesys.FileSystem.
func (f repoFiles) Glob(pattern string) ([]string, error) {
	rel, ok := f.below(pattern)
	if !ok {
		return f.FileSystem.Glob(pattern)
	}
	names, err := fs.Glob(f.repo, rel)
	for i, name := range names {
		names[i] = path.Join(repoDir, name)
	}
	return names, err
}

// Walk implements filesys.FileSystem.
func (f repoFiles) Walk(name string, fn filepath.WalkFunc) error {
	rel, ok := f.below(name)
	if !ok {
		return f.FileSystem.Walk(name, fn)
	}
	return fs.WalkDir(f.repo, rel, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fn(path.Join(repoDir, p), nil, err)
		}
		info, err := d.Info()
		return fn(path.Join(repoDir, p), info, err)
	})
}

func isKustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// checkLocal holds every reference of a kustomization to what is there. Kustomize
// would take what it does not find for the address of a repository and clone it.
func (f repoFiles) checkLocal(dir, shown string, data []byte) error {
	var k map[string]any
	if err := yaml.Unmarshal(data, &k); err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if k[field] != nil {
			return f.refuse(remoteResource{file: shown, name: field, helm: true})
		}
	}
	for _, name := range references(k) {
		if isRemote(name) || !path.IsAbs(name) && !f.Exists(path.Join(dir, name)) {
			return f.refuse(remoteResource{file: shown, name: name})
		}
	}
	return nil
}

// refuse keeps the first refusal.
func (f repoFiles) refuse(refusal remoteResource) error {
	if f.remote.name == "" {
		*f.remote = refusal
	}
	return refusal
}

// references are the files and directories that a kustomization names.
func references(k map[string]any) []string {
	names := slices.Concat(
		tree.Texts(k["resources"]), tree.Texts(k["bases"]), tree.Texts(k["components"]),
		tree.Texts(k["crds"]), tree.Texts(k["configurations"]),
	)
	for _, field := range []string{"generators", "transformers", "validators", "patchesStrategicMerge"} {
		for _, name := range tree.Texts(k[field]) {
			if !strings.Contains(name, "\n") { // else it stands there in full
				names = append(names, name)
			}
		}
	}
	for _, field := range []string{"patches", "patchesJson6902", "replacements"} {
		tree.Each(k[field], func(_ int, m map[string]any) {
			if name := tree.Text(m["path"]); name != "" {
				names = append(names, name)
			}
		})
	}
	if name := tree.Text(tree.At(k, "openapi", "path")); name != "" {
		names = append(names, name)
	}
	for _, field := range []string{"configMapGenerator", "secretGenerator"} {
		tree.Each(k[field], func(_ int, g map[string]any) {
			for _, item := range slices.Concat(tree.Texts(g["files"]), tree.Texts(g["envs"]), tree.Texts([]any{g["env"]})) {
				if _, after, ok := strings.Cut(item, "="); ok {
					item = after
				}
				if item != "" {
					names = append(names, item)
				}
			}
		})
	}
	return names
}

// isRemote knows what kustomize fetches: URLs, and the short forms of git hosts.
func isRemote(name string) bool {
	return strings.Contains(name, "://") || strings.HasPrefix(name, "git::") || strings.HasPrefix(name, "git@") ||
		strings.Contains(name, "?ref=") || strings.Contains(name, "?version=")
}
