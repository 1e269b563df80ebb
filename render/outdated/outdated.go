// Package outdated finds of what environments render which images, charts and
// built-in stacks there are newer versions of: in a table that is part of the binary,
// or, where it is told to, by asking registries and chart repositories. What those
// answer is hostile input.
package outdated

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render"
)

// The kinds of what has a version.
const (
	KindImage = "image"
	KindChart = "chart"
	KindStack = "stack"
)

// Status is what is known of a version.
type Status string

const (
	// Outdated is what there is a newer version of.
	Outdated Status = "outdated"
	// Current is the newest version that is known, or a newer one than that.
	Current Status = "current"
	// Unknown is what nothing is known of; Why says why.
	Unknown Status = "unknown"
)

// Item is an image, a chart or a stack with its version.
type Item struct {
	Kind string `json:"kind"`
	// Name is the repository that the image comes from, behind the site's mirror; the name
	// of the chart or of the type of the stack.
	Name string `json:"name"`
	// Version is the one that is rendered: a tag, without a digest.
	Version string `json:"version"`
	// Newest is the newest that is known, of the same form as Version; empty if none is.
	Newest string `json:"newest,omitempty"`
	Status Status `json:"status"`
	// Why is why nothing is known.
	Why string `json:"why,omitempty"`
	// From is the repository of a chart.
	From string `json:"from,omitempty"`
	// Units have it, as ENV/UNIT.
	Units []string `json:"units"`
}

// Report is what was found, sorted by kind, name and version.
type Report struct {
	// Known is the date of the table, such as 2026-11-30.
	Known string `json:"known"`
	// Online says that registries were asked in place of the table.
	Online bool   `json:"online"`
	Items  []Item `json:"items"`
}

// Outdated says whether there is a newer version of anything.
func (r *Report) Outdated() bool {
	return slices.ContainsFunc(r.Items, func(i Item) bool { return i.Status == Outdated })
}

// Options say whom to ask.
type Options struct {
	// Online asks registries and chart repositories; without it nothing is sent anywhere.
	Online bool
	// PlainHTTP allows those that have no TLS.
	PlainHTTP bool
}

// Look finds newer versions of what was rendered. That somebody does not answer is no
// error: it is why something is unknown.
func Look(ctx context.Context, results []*render.Result, opts Options) *Report {
	table := known()
	r := &Report{Known: table.date, Online: opts.Online, Items: list(results, table)}
	if opts.Online {
		newOnline(opts).ask(ctx, r.Items)
	} else {
		for i := range r.Items {
			table.compare(&r.Items[i])
		}
	}
	stacks(r.Items, table)
	return r
}

// list is all that has a version, not yet judged.
func list(results []*render.Result, table *knowledge) []Item {
	items := map[itemKey]*Item{}
	add := func(i Item, unit string) {
		key := itemKey{i.Kind, i.Name, i.Version, i.From}
		have := items[key]
		if have == nil {
			have = &i
			items[key] = have
		}
		if !slices.Contains(have.Units, unit) {
			have.Units = append(have.Units, unit)
		}
	}
	for _, res := range results {
		of := func(unit string) string { return res.Env.Name + "/" + unit }
		images := res.Images()
		for _, image := range images {
			name, tag := split(cmp.Or(image.Source, image.Image))
			for _, unit := range image.Units {
				add(Item{Kind: KindImage, Name: name, Version: tag}, of(unit))
				if u := res.Env.Unit(unit); u != nil && table.stacks[u.Type] == name {
					add(Item{Kind: KindStack, Name: u.Type, Version: tag}, of(unit))
				}
			}
		}
		for _, u := range res.Env.Units {
			if table.stacks[u.Type] == "" || slices.ContainsFunc(images, func(i render.Image) bool {
				name, _ := split(cmp.Or(i.Source, i.Image))
				return name == table.stacks[u.Type] && slices.Contains(i.Units, u.Name)
			}) {
				continue
			}
			add(Item{Kind: KindStack, Name: u.Type, Status: Unknown, Why: "it does not run the image " + table.stacks[u.Type]}, of(u.Name))
		}
		for _, c := range res.Charts() {
			add(Item{Kind: KindChart, Name: c.Name, Version: c.Version, From: withoutPassword(c.Repo)}, of(c.Unit))
		}
	}
	sorted := make([]Item, 0, len(items))
	for _, i := range items {
		slices.Sort(i.Units)
		sorted = append(sorted, *i)
	}
	slices.SortFunc(sorted, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.From, b.From))
	})
	return sorted
}

// itemKey is what makes an item one of its own.
type itemKey struct{ kind, name, version, from string }

// stacks are judged by the image that carries their version.
func stacks(items []Item, table *knowledge) {
	for i := range items {
		if items[i].Kind != KindStack || items[i].Status != "" {
			continue
		}
		at := slices.IndexFunc(items, func(o Item) bool {
			return o.Kind == KindImage && o.Name == table.stacks[items[i].Name] && o.Version == items[i].Version
		})
		items[i].Newest, items[i].Status, items[i].Why = items[at].Newest, items[at].Status, items[at].Why
	}
}

// split parts an image into its repository, with docker.io and library where they are
// left out, and its tag.
func split(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	if at := strings.LastIndex(image, ":"); at > strings.LastIndex(image, "/") {
		image, tag = image[:at], image[at+1:]
	}
	host, _, several := strings.Cut(image, "/")
	switch {
	case !several:
		return "docker.io/library/" + image, tag
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + image, tag
	}
	return image, tag
}

// withoutPassword is a URL as it may be shown and asked: the credentials of a chart
// repository do not belong into the source.
func withoutPassword(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
