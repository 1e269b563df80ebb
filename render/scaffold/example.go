package scaffold

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/envs"
)

// example says how a worked example becomes a repository of somebody's own: which
// directories it has, and which words of it are facts.
type example struct {
	prefix string // of the environments' directories
	apps   string // the directory of the shared app list
	words  []string
}

func exampleOf(f Facts) example {
	if f.From == Cloud {
		return example{prefix: "cloud-", apps: "shop", words: []string{
			`"github.com/seed-428f4edd/evenkeel/envs/shop"`, fmt.Sprintf("%q\n\t%q", f.Module+"/envs/"+appsDir, f.Module+"/envs/"+factsDir),
			"harbor.shop.example.com", f.Harbor,
			"shop.example.com", f.Domain,
			"shop.#Site", factsDir + ".#Site",
			"shop.#Apps", appsDir + ".#Apps",
			"package shop", "package " + appsDir,
			"Package shop is what the cloud environments share: the site and the list of\n// apps. Each environment gives images, host and size.", "Package " + appsDir + " is the list of apps that the environments share; each of them\n// gives images, host and size.",
			`"cloud-`, `"`,
		}}
	}
	return example{apps: "demo", words: []string{
		"github.com/seed-428f4edd/evenkeel/envs/site:od", f.Module + "/envs/" + factsDir,
		"github.com/seed-428f4edd/evenkeel/envs/demo", f.Module + "/envs/" + appsDir,
		"harbor.od.com", f.Harbor,
		"the od.com cluster", "the cluster",
		"od.com", f.Domain,
		"od.#Site", factsDir + ".#Site",
		"demo.#Apps", appsDir + ".#Apps",
		"package demo", "package " + appsDir,
		"Package demo", "Package " + appsDir,
	}}
}

// exampleEnvironments are the environments and the app list of a worked example
// under the facts. An environment that the example does not have is made like its
// dev.
func exampleEnvironments(f Facts) ([]File, error) {
	ex := exampleOf(f)
	words := slices.Clone(ex.words)
	if f.Context == "" {
		words = append(words, "\tcluster: context: \"od\"\n", "", "\tcluster: context: \"cloud\"\n", "")
	} else {
		words = append(words, `context: "od"`, fmt.Sprintf("context: %q", f.Context), `context: "cloud"`, fmt.Sprintf("context: %q", f.Context))
	}
	if !f.HasEdge() {
		words = append(words, "\t\tedge: {\n\t\t\tvrid: 251\n\t\t\tl7: tls: \"dashboard.od.com\": {}\n\t\t}\n", "", "\t\t\thostPort: 81\n", "")
	}
	facts := longestFirst(words)

	apps, err := fs.ReadFile(envs.FS, ex.apps+"/apps.cue")
	if err != nil {
		return nil, err
	}
	files := []File{{Name: path.Join("envs", appsDir, "apps.cue"), Data: []byte(facts.Replace(string(apps)))}}
	for _, name := range append([]string{infra}, f.Envs...) {
		from := name
		data, err := fs.ReadFile(envs.FS, path.Join(ex.prefix+from, from+".cue"))
		if err != nil {
			from = "dev"
			if data, err = fs.ReadFile(envs.FS, path.Join(ex.prefix+from, from+".cue")); err != nil {
				return nil, err
			}
		}
		text := facts.Replace(string(data))
		if from != name {
			text = strings.NewReplacer(
				"Package dev is the development environment", "Package "+packageName(name)+" is the environment "+name,
				"Package dev is the shop's development environment", "Package "+packageName(name)+" is the environment "+name,
				"package dev", "package "+packageName(name),
				`"dev"`, fmt.Sprintf("%q", name),
				"-dev.", "-"+name+".", `"dev.`, `"`+name+".",
			).Replace(text)
		}
		files = append(files, File{Name: path.Join("envs", name, name+".cue"), Data: []byte(dropUnused(text, f))})
	}
	return files, nil
}

// dropUnused removes imports that a file does not use: CUE takes them for mistakes.
func dropUnused(text string, f Facts) string {
	for _, dir := range []string{factsDir, appsDir} {
		if !strings.Contains(text, dir+".#") {
			text = strings.Replace(text, fmt.Sprintf("\t%q\n", f.Module+"/envs/"+dir), "", 1)
		}
	}
	return text
}

// longestFirst makes a replacer that takes the longest of the words that begin at
// the same place: strings.NewReplacer takes the first.
func longestFirst(pairs []string) *strings.Replacer {
	sorted := slices.Collect(slices.Chunk(pairs, 2))
	slices.SortStableFunc(sorted, func(a, b []string) int { return len(b[0]) - len(a[0]) })
	return strings.NewReplacer(slices.Concat(sorted...)...)
}
