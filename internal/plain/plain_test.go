package plain

import "testing"

func TestLine(t *testing.T) {
	for _, test := range []struct {
		given string
		most  int
		want  string
	}{
		{"a\x1b]0;title\x07b\n::error::c", 100, "a ]0;title b ::error::c"},
		{"adm\u200bin\u202e\u2066\ufeff", 100, "admin"},
		{"one\u2028two\u2029three\u0085", 100, "one two three"},
		{"漂移 \xff x", 100, "漂移 \ufffd x"},
		{"0123456789", 8, "01234567..."},
		{"漂移漂移", 8, "漂移..."},
	} {
		if got := Line(test.given, test.most); got != test.want {
			t.Errorf("%q: %q, want %q", test.given, got, test.want)
		}
	}
}

func TestOperand(t *testing.T) {
	for given, want := range map[string]string{
		"deploy/prod":    "deploy/prod",
		"a b":            "'a b'",
		"x; rm -rf ~":    "'x; rm -rf ~'",
		"it's":           `'it'\''s'`,
		"":               "''",
		"--kubeconfig=x": "./--kubeconfig=x",
		"-a b":           "'./-a b'",
		"a\nb":           "'a\nb'",
	} {
		if got := Operand(given); got != want {
			t.Errorf("%q: %s, want %s", given, got, want)
		}
	}
	if got := Argument("--live"); got != "'--live'" { // a value behind its flag
		t.Errorf("got %s", got)
	}
}
