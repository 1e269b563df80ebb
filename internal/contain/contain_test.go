package contain

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestCall says where a panic was and what the runtime says of it, but nothing of the
// value that it was raised with.
func TestCall(t *testing.T) {
	var none map[string]int
	var value any = "s3cret"
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"a string":        {func() error { panic("s3cret") }, "panic with a string at internal/contain.TestCall.func1:"},
		"an error":        {func() error { panic(errors.New("s3cret")) }, "panic with a *errors.errorString at internal/contain.TestCall.func2:"},
		"a nil map":       {func() error { none["s3cret"] = 1; return nil }, "assignment to entry in nil map at "},
		"a type":          {func() error { _ = value.(int); return nil }, "interface conversion: interface {} is string, not int at "},
		"an index":        {func() error { _ = "s3cret"[len(value.(string)):][0]; return nil }, "index out of range"},
		"in another's":    {func() error { return json.Unmarshal([]byte(`"s3cret"`), new(breaking)) }, "internal/contain.(*breaking).UnmarshalJSON:"},
		"that is handled": {func() error { return errors.New("handled") }, "handled"},
	} {
		err := Call(c.do)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := Call(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

type breaking struct{}

func (*breaking) UnmarshalJSON(data []byte) error { panic(string(data)) }

// TestGroup ends with the error of a panic, and its context with it.
func TestGroup(t *testing.T) {
	group, ctx := WithContext(t.Context())
	group.Go(func() error { <-ctx.Done(); return nil })
	group.Go(func() error { panic("s3cret") })
	if err := group.Wait(); err == nil || !errors.Is(context.Cause(ctx), err) {
		t.Errorf("%v, and the context ended with %v", err, context.Cause(ctx))
	}
}
