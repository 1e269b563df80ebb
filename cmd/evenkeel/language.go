package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/words"
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
