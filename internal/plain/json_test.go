package plain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// TestJSON writes what others may have written, at once and byte by byte: no character
// that acts on a reader is left, and whoever parses it gets what went in.
func TestJSON(t *testing.T) {
	in := map[string]string{
		"bidi":            "\u202egnp.exe\u2066\u200e\u061c",
		"joined":          "\U0001f469\u200d\U0001f4bb, a\u200cb",
		"tag":             "\U000e0041\U000e007f",
		"c1":              "\u009b31m\u0085\x7f\x1b[2J",
		"lines":           "a\u2028b\u2029c\nd\te",
		"plain":           "\u4e2d\u6587 <b> & \u2713",
		"commands":        "##vso[task.x] ##[error] ###",
		"key\ufeff\u00ad": "",
	}
	var whole, bytewise bytes.Buffer
	enc := json.NewEncoder(JSON(&whole))
	enc.SetEscapeHTML(false)
	if err := enc.Encode(in); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	by := JSON(&bytewise)
	for i := range raw {
		if n, err := by.Write(raw[i : i+1]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, out := range []string{whole.String(), bytewise.String()} {
		if at := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("%q is left in %q", out[at:], out)
		}
		if strings.Contains(out, "##") {
			t.Errorf("a command of a pipeline is left in %q", out)
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(out), &back); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for key, want := range in {
			if back[key] != want {
				t.Errorf("%q came back as %q", want, back[key])
			}
		}
		if !strings.Contains(out, "\u4e2d\u6587") {
			t.Errorf("what people read is escaped: %s", out)
		}
	}
}
