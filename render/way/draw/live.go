package draw

import (
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/way"
)

// sign is how a state looks: a mark, a colour of a terminal, and a class of pictures.
type sign struct{ mark, color, class string }

// signOf is the sign of a state. Nobody was asked about an empty one.
func signOf(state string) sign {
	switch state {
	case "healthy", "":
		return sign{"✓", green, "ok"}
	case "progressing":
		return sign{"…", yellow, "warn"}
	case way.Failed:
		return sign{"✗", red, "bad"}
	}
	return sign{"?", yellow, "warn"}
}

// signOfHop is the sign of a hop: what breaks is worse than what is said of it.
func signOfHop(h way.Hop) sign {
	switch {
	case h.Break != nil:
		return signOf(way.Failed)
	case h.Live != nil:
		return signOf(h.Live.State)
	}
	return signOf("")
}

// Speech says texts in the language of a model: the model, its ways and its graphs do.
type Speech interface {
	Say(text string, args ...any) string
}

// liveText is what is said of a hop or a card in one line: the state first, then
// what there is to say, without what a break says already.
func liveText(in Speech, l *way.Live, broken *way.Break) string {
	parts := []string{in.Say(l.State)}
	for _, text := range l.Says {
		if broken == nil || text != broken.Reason {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

// probeText is what came of a request that was sent.
func probeText(in Speech, p *way.Probe) string {
	if p.At == "" {
		return in.Say("a request from this machine: %s", p.Says)
	}
	if p.Behind {
		return in.Say("a request from this machine: %s, made at the hop %s or behind it", p.Says, in.Say(string(p.At)))
	}
	return in.Say("a request from this machine: %s, made at the hop %s", p.Says, in.Say(string(p.At)))
}
