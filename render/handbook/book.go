package handbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// Options say how the page is written.
type Options struct {
	Format string // html or markdown
	Lang   string // of words.Languages
	// Changes are the last commits of the source, newest first, at most Last; none are on
	// the page where Last is zero.
	Changes []Change
	Last    int
}

// Change is a commit of the source.
type Change struct{ Commit, Day, Who, Subject string }

// Formats are what Options knows, the default first.
func Formats() []string { return []string{"html", "markdown"} }

// book is the page before it is written.
type book struct {
	title    string
	lead     []string
	sections []section
}

type section struct {
	title  string
	blocks []any // of the types below
}

type (
	paragraph string
	// table has plain cells; those in code() are names that one types or reads
	// elsewhere.
	table struct {
		head []string
		rows [][]string
	}
	commands string
	drawing  struct{ graph *way.Graph }
)

// drop takes a column away.
func (t *table) drop(column int) {
	t.head = slices.Delete(t.head, column, column+1)
	for i := range t.rows {
		t.rows[i] = slices.Delete(t.rows[i], column, column+1)
	}
}

// code marks names in a text; it is taken out or turned into markup when the page is
// written.
const codeBegin, codeEnd = "\x01", "\x02"

func code(text string) string {
	return codeBegin + strings.NewReplacer(codeBegin, "", codeEnd, "", "\n", " ").Replace(text) + codeEnd
}

func codes(texts []string) string {
	var all []string
	for _, text := range texts {
		all = append(all, code(text))
	}
	return strings.Join(all, ", ")
}

// Write makes the page of environments, in the order of their names as given.
func Write(ways *render.Ways, names []string, opts Options) string {
	w := &writer{ways: ways.In(opts.Lang), names: unique(names), commits: opts.Changes, last: opts.Last, say: speech(opts.Lang).Say}
	b := w.book()
	if opts.Format == "markdown" {
		return b.markdown()
	}
	return b.html(opts.Lang)
}

func unique(names []string) []string {
	var all []string
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// writer gathers what the page says.
type writer struct {
	ways    *render.Ways
	names   []string
	commits []Change
	last    int
	say     func(text string, args ...any) string
}

// cluster is one cluster with the environments of it that the page is about.
type cluster struct {
	model   *way.Model
	graph   *way.Graph
	names   []string
	rows    []way.Row
	hasEdge bool
}

func (w *writer) book() *book {
	b := &book{title: w.say("Handbook of %s", strings.Join(w.names, ", "))}
	b.lead = append(b.lead,
		w.say("This page is written by %s from the source of the environments, and shows what an apply makes of it. Do not edit it.", code(w.command())),
		w.say("It does not look at the cluster. How things are right now is shown by %s and %s.", code("evenkeel status"), code("evenkeel ui")))
	pictures := w.ways.Pictures(w.names)
	for i, p := range pictures {
		c := &cluster{model: p.Model, graph: p.Graph, hasEdge: p.Model.Front() != nil}
		for _, band := range p.Graph.Bands {
			c.names = append(c.names, band.Environment)
		}
		c.rows = p.Model.Table(c.names...)
		for _, s := range w.sections(c) {
			if len(pictures) > 1 {
				s.title = fmt.Sprintf("%s: %s", s.title, strings.Join(c.names, ", "))
			}
			if i == 0 || len(s.blocks) > 0 {
				b.sections = append(b.sections, s)
			}
		}
	}
	return b
}

func (w *writer) command() string {
	command := "evenkeel handbook " + strings.Join(w.names, " ")
	if w.last > 0 {
		command += fmt.Sprintf(" --changes %d", w.last)
	}
	return command
}

// sections are those of one cluster; one that has nothing to say is left out.
func (w *writer) sections(c *cluster) []section {
	all := []section{
		{w.say("How requests arrive"), []any{drawing{c.graph}}},
		{w.say("URLs"), w.urls(c)},
		{w.say("In front of the cluster"), w.front(c)},
		{w.say("DNS records"), w.dns(c)},
		{w.say("Ports"), w.ports(c)},
		{w.say("Apps"), w.apps(c)},
		{w.say("Who calls whom"), w.calls(c)},
		{w.say("Registries"), w.registries(c)},
		{w.say("Certificates"), w.certificates(c)},
		{w.say("What must be made by hand"), w.external(c)},
		{w.say("Images"), w.images(c)},
		{w.say("When a host fails"), w.failures(c)},
		{w.say("What to type"), w.typed(c)},
		{w.say("Last changes"), w.changes(c)},
	}
	return slices.DeleteFunc(all, func(s section) bool { return len(s.blocks) == 0 })
}
