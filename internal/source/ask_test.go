package source

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestAnswerOfChild bounds what is read of an answer, and names what was being
// rendered where there is none.
func TestAnswerOfChild(t *testing.T) {
	said, err := readMessages(strings.NewReader(`{"begun":"a"}{"begun":"b"}{"ended":"a"}`), 1<<20)
	if err == nil || strings.Join(said.running, " ") != "b" {
		t.Errorf("running: %v, %v", said.running, err)
	}
	huge := io.MultiReader(strings.NewReader(`{"response":{"error":"`), zeros{})
	if _, err := readMessages(huge, 1<<20); !errors.Is(err, errAnswer) {
		t.Errorf("a huge answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Source{Dir: t.TempDir()}).ask(ctx, map[string]string{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
