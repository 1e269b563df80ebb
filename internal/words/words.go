// Package words says the texts of pages and pictures in the languages of their readers.
package words

import "fmt"

// Words are the texts of another language by the English ones, which are formats of
// package fmt and stand in the code. Formats may take their arguments in another order
// (%[2]s). The nil Words are English.
type Words map[string]string

// Say says a text. What has no other words stays English.
func (w Words) Say(text string, args ...any) string {
	if other, ok := w[text]; ok {
		text = other
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// English and Chinese are the languages, as flags and addresses name them.
const (
	English = "en"
	Chinese = "zh"
)

// Languages are those that there are, the default first.
func Languages() []string { return []string{English, Chinese} }
