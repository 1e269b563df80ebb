package report

import (
	"github.com/seed-428f4edd/evenkeel/apply"
)

// reachWord is what people read for a change of a URL.
func reachWord(r apply.Reach) string {
	switch r.What {
	case "breaks":
		return "would break"
	case "app":
		return "goes elsewhere"
	case "tls":
		return "TLS changes"
	case "path":
		return "path changes"
	case "moved":
		return "host changes"
	case "provider":
		return "loses a provider"
	}
	return r.What
}

// alarming says whether somebody should look before the merge.
func alarming(r apply.Reach) bool {
	return r.What == "breaks" || r.What == "provider" || r.What == "gone"
}

// reachOf are the changes of URLs, those to look at first.
func reachOf(p *apply.Plan) []apply.Reach {
	var first, rest []apply.Reach
	for _, r := range p.Reach {
		if alarming(r) {
			first = append(first, r)
		} else {
			rest = append(rest, r)
		}
	}
	return append(first, rest...)
}
