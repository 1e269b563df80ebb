package importer

import "testing"

func TestTemplated(t *testing.T) {
	tests := []struct {
		name, text string
		want       bool
	}{
		{"a value", "name: {{ .Values.name }}\n", true},
		{"an action on a line of its own", "a: 1\n{{- if .Values.b }}\nb: 2\n{{- end }}\n", true},
		{"Jinja", "hosts:\n{% for h in hosts %}\n- {{ h }}\n{% endfor %}\n", true},
		{"behind a block", "data: |\n  text {{ a }}\nname: {{ b }}\n", true},
		{"in quotes", `legend: "{{pod}} \"{{x}}\""` + "\nother: '{{job}}'\n", false},
		{"in a block of text", "data:\n  rule.yaml: |-\n    summary: {{ $labels.pod }}\n\n    {{ end }}\n  more: >2  # folded\n      {{ x }}\n", false},
		{"in a block of a list", "args:\n- |\n  {{ x }}\n- b\n", false},
		{"none", "a: {b: {c: 1}}\n", false},
	}
	for _, tt := range tests {
		if got := templated([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
