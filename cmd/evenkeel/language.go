package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/words"
	"github.com/seed-428f4edd/evenkeel/render"
)

// language is the flag for the language of what people read.
type language struct{ lang string }

func (l *language) addLang(flags *pflag.FlagSet) {
	flags.StringVar(&l.lang, "lang", words.Languages()[0], "language: "+strings.Join(words.Languages(), ", "))
}

// known refuses a language that there is not.
func (l *language) known() error {
	if slices.Contains(words.Languages(), l.lang) {
		return nil
	}
	return &hint.Error{Err: fmt.Errorf("no language %q", l.lang), Hint: "use one of " + strings.Join(words.Languages(), ", ")}
}

// ways are the ways of requests of the environments that are meant, in a language.
func (g *global) ways(ctx context.Context, s *selection, l language, args []string) (*render.Ways, []string, error) {
	if err := l.known(); err != nil {
		return nil, nil, err
	}
	repo, names, err := g.named(ctx, s, args)
	if err != nil {
		return nil, nil, err
	}
	ways, err := repo.Ways(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	g.warn(ways.Warnings)
	return ways.In(l.lang), names, nil
}

// drawn makes of ways what is shown of them, within the budget of a rendering: who wrote
// the environments decides how much there is to follow and to draw.
func (g *global) drawn(ctx context.Context, do func()) error {
	budget, err := g.budget.budget()
	if err != nil {
		return err
	}
	return budget.WithinTime(ctx, do)
}
