package lint

import (
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// word is a field of the Gateway API that has one of a few values. Of an open one there
// are more: those of an implementation, or of a version to come.
type word struct {
	kinds   string
	path    string // with * for the items of a list
	allowed string
	open    bool
}

// words are from the definitions of the Gateway API 1.4, standard channel.
func words() []word {
	const match = "Exact RegularExpression"
	return []word{
		{kinds: "HTTPRoute", path: "spec.rules.*.matches.*.method", allowed: "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH"},
		{kinds: "HTTPRoute", path: "spec.rules.*.matches.*.path.type", allowed: "Exact PathPrefix RegularExpression"},
		{kinds: "HTTPRoute GRPCRoute", path: "spec.rules.*.matches.*.headers.*.type", allowed: match},
		{kinds: "HTTPRoute", path: "spec.rules.*.matches.*.queryParams.*.type", allowed: match},
		{kinds: "GRPCRoute", path: "spec.rules.*.matches.*.method.type", allowed: match},
		{kinds: "HTTPRoute", path: "spec.rules.*.filters.*.type", open: true, allowed: "RequestHeaderModifier ResponseHeaderModifier RequestMirror RequestRedirect URLRewrite ExtensionRef CORS"},
		{kinds: "GRPCRoute", path: "spec.rules.*.filters.*.type", open: true, allowed: "RequestHeaderModifier ResponseHeaderModifier RequestMirror ExtensionRef"},
		{kinds: "HTTPRoute", path: "spec.rules.*.filters.*.requestRedirect.scheme", allowed: "http https"},
		{kinds: "HTTPRoute", path: "spec.rules.*.filters.*.requestRedirect.path.type", allowed: "ReplaceFullPath ReplacePrefixMatch"},
		{kinds: "HTTPRoute", path: "spec.rules.*.filters.*.urlRewrite.path.type", allowed: "ReplaceFullPath ReplacePrefixMatch"},
		{kinds: "Gateway", path: "spec.listeners.*.protocol", open: true, allowed: "HTTP HTTPS TLS TCP UDP"},
		{kinds: "Gateway", path: "spec.listeners.*.tls.mode", allowed: "Terminate Passthrough"},
		{kinds: "Gateway", path: "spec.listeners.*.allowedRoutes.namespaces.from", allowed: "All Selector Same", open: true},
	}
}

// checkWords holds a resource of the Gateway API, whose definition is not at hand, to the
// words that its definition knows.
func (w *world) checkWords(o located) {
	if group(o.Object) != "gateway.networking.k8s.io" {
		return
	}
	for _, known := range words() {
		if slices.Contains(strings.Fields(known.kinds), o.Kind) {
			w.checkWord(o, known, o.Content, nil, strings.Split(known.path, "."))
		}
	}
}

func (w *world) checkWord(o located, known word, v any, path typed.Path, steps []string) {
	switch {
	case len(steps) == 0:
		value, allowed := tree.Text(v), strings.Fields(known.allowed)
		near := typed.Closest(value, allowed)
		if value == "" || slices.Contains(allowed, value) || known.open && near == "" {
			return
		}
		f := o.at(RuleCustomResource, path...)
		f.Message, f.Expected, f.Found, f.DidYouMean = "not one of the values", "one of "+strings.Join(allowed, ", "), quote(value), near
		w.report(f)
	case steps[0] == "*":
		for i, item := range tree.List(v) {
			w.checkWord(o, known, item, append(slices.Clip(path), i), steps[1:])
		}
	default:
		w.checkWord(o, known, tree.Map(v)[steps[0]], append(slices.Clip(path), steps[0]), steps[1:])
	}
}
