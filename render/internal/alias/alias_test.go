package alias

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// bomb is levels of lists of nine aliases to the list before.
func bomb(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

func TestCheck(t *testing.T) {
	patch := "patches:\n- patch: |\n    " + strings.ReplaceAll(bomb(9), "\n", "\n    ")
	quoted, err := json.Marshal(map[string]any{"patches": []any{map[string]string{"patch": bomb(9)}}})
	if err != nil {
		t.Fatal(err)
	}
	escaped := strings.NewReplacer("&", `\x26`, "*", `\U0000002A`, "\n", `\n`).Replace(bomb(9))
	for name, tt := range map[string]struct{ yaml, want string }{
		"in a patch of JSON":   {string(quoted), "its aliases stand for more than"},
		"in a text in quotes":  {`patch: "` + escaped + `"`, "its aliases stand for more than"},
		"nothing":              {"", ""},
		"no alias":             {"a: [1, 2]\n", ""},
		"an alias":             {"a: &a {b: c}\nd: *a\ne: {<<: *a}\n", ""},
		"four levels of nine":  {bomb(4), ""},
		"nine levels of nine":  {bomb(9), "line 7: its aliases stand for more than 1048576 values"},
		"in the second of two": {"a: 1\n---\n" + bomb(9), "line 9: "},
		"itself":               {"a: &a [*a]\n", "the alias stands for what it is part of"},
		"itself, further down": {"a: &a {b: {c: [1, *a]}}\n", "the alias stands for what it is part of"},
		"in a patch":           {patch, "its aliases stand for more than"},
		"merged":               {strings.ReplaceAll(strings.ReplaceAll(bomb(9), "[x, x, x, x, x, x, x, x, x]", "{k: v}"), "a8: &a8 [", "a8: &a8 [{<<: *a7}, "), "its aliases stand for more than"},
		"no YAML":              {"if [ $a ] && b; then *) : \n\t&c", ""},
		"text of others":       {"cat <<X & wait\nglob *.txt\n", ""},
	} {
		err := Check([]byte(tt.yaml))
		if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || !strings.Contains(got, tt.want) && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(bomb(3))
	f.Add("a: &a [*a]")
	f.Fuzz(func(_ *testing.T, text string) { _ = Check([]byte(text)) })
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		"a: .inf":                  "line 1: JSON has no number .inf: write it as text, in quotes",
		"a: 1\nb: [1, -.Inf]":      "line 2: JSON has no number -.Inf: write it as text, in quotes",
		"a: {b: .NaN}":             "line 1: JSON has no number .NaN: write it as text, in quotes",
		"a: 1\n---\n? [b, c]\n: d": "line 3: a key has to be text",
		"a: \".inf\"":              "",
		"a: foo.info, b: .info":    "",
		"a: 1e400":                 "",
		"? b\n: c":                 "",
	} {
		got := ""
		if err := JSON([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
