package way

import "github.com/seed-428f4edd/evenkeel/internal/words"

// In is the model of New in a language, of words.Languages: what it says of hops and
// cards. Names, fields and kinds of objects stay as they are.
func (m *Model) In(lang string) *Model {
	if lang == words.Chinese && m.chinese != nil {
		return m.chinese()
	}
	return m
}

// Say says a text in the language of the model.
func (m *Model) Say(text string, args ...any) string { return m.words.Say(text, args...) }

// newWay is a way without hops yet.
func (m *Model) newWay(url string) *Way { return &Way{URL: url, words: m.words} }

// nameOf is what a controller is called: its pods, where the environments make them.
func (m *Model) nameOf(c *controller) string {
	if c.pods == nil {
		return m.Say("the ingress controller")
	}
	return c.pods.ref()
}

// Say says a text in the language of the model that the way is of.
func (w *Way) Say(text string, args ...any) string { return w.words.Say(text, args...) }

// Say says a text in the language of the model that the graph is of.
func (g *Graph) Say(text string, args ...any) string { return g.words.Say(text, args...) }
