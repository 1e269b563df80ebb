package render

import (
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
)

// envPackage is the package of an environment as its files say it: what can be known
// without evaluating them.
type envPackage struct {
	repo *Repo
	dir  envDir
	inst *build.Instance
	// thorough says that the environment is vetted: what costs more than to render is
	// looked for as well.
	thorough bool

	marking sync.Once
	marks   *marks // see marked

	indexing sync.Once
	index    *wordIndex // see indexed
}

// userFiles are the syntax trees of the user's own files that the environment is
// built from: its package and all that it imports, without the definitions.
func (p *envPackage) userFiles() []*ast.File {
	var files []*ast.File
	for _, inst := range p.instances() {
		for _, f := range inst.Files {
			if p.repo.isUserFile(f.Filename) {
				files = append(files, f)
			}
		}
	}
	return files
}

// instances are the environment's package and its imports, each once.
func (p *envPackage) instances() []*build.Instance {
	var all []*build.Instance
	seen := map[*build.Instance]bool{}
	var visit func(*build.Instance)
	visit = func(inst *build.Instance) {
		if inst == nil || seen[inst] {
			return
		}
		seen[inst] = true
		all = append(all, inst)
		for _, dep := range inst.Imports {
			visit(dep)
		}
	}
	visit(p.inst)
	return all
}
