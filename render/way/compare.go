package way

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Change is how the answer to a URL, or what an app calls, differs between two
// models of a cluster.
type Change struct {
	// What is "new", "gone", "moved" (another host), "breaks", "mended", "app", "tls",
	// "path" (rewritten to another one) or "provider" (a consumer loses it).
	What string
	URL  string // or the consumer
	Says string
}

// Compare says what differs for the URLs of an environment, and which consumers lose
// a provider; a model that is not there has no URLs.
func Compare(before, after *Model, environment string) []Change {
	old, now := rowsOf(before, environment), rowsOf(after, environment)
	var all []Change
	add := func(what, url, format string, args ...any) {
		all = append(all, Change{What: what, URL: url, Says: fmt.Sprintf(format, args...)})
	}
	gone := map[string]Row{}
	for key, row := range old {
		if _, still := now[key]; !still {
			gone[row.Object+" "+pathOf(row.URL)] = row
		}
	}
	for _, key := range sortedRows(now) {
		row := now[key]
		was, there := old[key]
		place := row.Object + " " + pathOf(row.URL)
		switch moved, ok := gone[place]; {
		case there:
			compareRows(was, row, add)
			continue
		case ok:
			add("moved", row.URL, "took the place of %s, which is no longer answered", moved.URL)
			delete(gone, place)
		default:
			add("new", row.URL, "leads to %s", destination(row))
		}
		if row.Broken {
			add("breaks", row.URL, "%s", firstBreak(row))
		}
	}
	for _, key := range sortedRows(old) {
		row := old[key]
		if _, is := gone[row.Object+" "+pathOf(row.URL)]; is && now[key].Way == nil {
			add("gone", row.URL, "led to %s", destination(row))
		}
	}
	return append(all, lost(before, after, environment)...)
}

func rowsOf(m *Model, environment string) map[string]Row {
	rows := map[string]Row{}
	if m == nil {
		return rows
	}
	for _, row := range m.Table(environment) {
		key := trimScheme(row.URL)
		if _, taken := rows[key]; taken {
			key += " " + row.Object
		}
		rows[key] = row
	}
	return rows
}

func sortedRows(rows map[string]Row) []string {
	keys := make([]string, 0, len(rows))
	for key := range rows {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func pathOf(url string) string {
	rest := trimScheme(url)
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		return rest[at:]
	}
	return "/"
}

func destination(row Row) string {
	if row.App == nil {
		return "no app"
	}
	return row.App.Unit
}

func firstBreak(row Row) string {
	h := row.Breaks()[0]
	return fmt.Sprintf("at %s %s: %s", h.Kind, h.Name, h.Break.Reason)
}

// compareRows says what differs for one URL.
func compareRows(was, row Row, add func(what, url, format string, args ...any)) {
	switch {
	case row.Broken && (!was.Broken || firstBreak(was) != firstBreak(row)):
		add("breaks", row.URL, "%s", firstBreak(row))
	case was.Broken && !row.Broken:
		add("mended", row.URL, "was broken %s", firstBreak(was))
	}
	if a, b := destination(was), destination(row); a != b && !row.Broken && !was.Broken {
		add("app", row.URL, "goes to %s, no longer to %s", b, a)
	}
	if a, b := scheme(was.URL)+", TLS ends at "+cmp.Or(was.TLS, "nothing"), scheme(row.URL)+", TLS ends at "+cmp.Or(row.TLS, "nothing"); a != b && !row.Broken {
		add("tls", row.URL, "is %s; it was %s", b, a)
	}
	if was.Rewritten != row.Rewritten && !row.Broken {
		add("path", row.URL, "the app sees %s; it saw %s", cmp.Or(row.Rewritten, "the path as it is"), cmp.Or(was.Rewritten, "the path as it is"))
	}
}

func scheme(url string) string { return url[:strings.Index(url, "://")] }

// lost are the consumers that still name a provider and no longer reach it.
func lost(before, after *Model, environment string) []Change {
	if before == nil || after == nil {
		return nil
	}
	old, now := before.calledBy(environment), after.calledBy(environment)
	var all []Change
	for _, pair := range sortedPairs(old) {
		reason, still := now[pair]
		if old[pair] == "" && still && reason != "" {
			all = append(all, Change{What: "provider", URL: pair.consumer, Says: fmt.Sprintf("loses %s: %s", pair.provider, reason)})
		}
	}
	return all
}

type calling struct{ consumer, provider string }

func sortedPairs(pairs map[calling]string) []calling {
	all := make([]calling, 0, len(pairs))
	for pair := range pairs {
		all = append(all, pair)
	}
	slices.SortFunc(all, func(a, b calling) int {
		return cmp.Or(cmp.Compare(a.consumer, b.consumer), cmp.Compare(a.provider, b.provider))
	})
	return all
}

// calledBy are what the apps of an environment call, with why that breaks, or "".
func (m *Model) calledBy(environment string) map[calling]string {
	pairs := map[calling]string{}
	env := m.env(environment)
	if env == nil {
		return pairs
	}
	for i := range env.Units {
		in := m.registered[env.Name+"/"+env.Units[i].Name]
		if !in.unit.App {
			continue
		}
		provider := ""
		for _, h := range m.direct(in) {
			switch {
			case h.Kind == Provider:
				provider = h.Name
				pairs[calling{in.unit.Name, provider}] = ""
				fallthrough
			case h.Kind == Policy && provider != "":
				if h.Break != nil {
					pairs[calling{in.unit.Name, provider}] = h.Break.Reason
				}
			}
		}
	}
	return pairs
}

// direct are the hops of what an app calls itself.
func (m *Model) direct(in *instance) []Hop {
	t := &tracer{Model: m, way: m.newWay("")}
	c := &caller{tracer: t, seen: map[string]bool{}}
	for name := range m.registered { // one step is enough
		c.seen[name] = true
	}
	c.from(in, 1, nil)
	return t.way.Hops
}
