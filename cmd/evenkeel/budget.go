package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/budget"
)

// budgetFlags bound what a rendering may take.
type budgetFlags struct {
	time   time.Duration
	memory string
}

func (b *budgetFlags) addFlags(f *pflag.FlagSet) {
	f.DurationVar(&b.time, "render-timeout", 5*time.Minute, "how long one environment may take to render")
	f.StringVar(&b.memory, "render-memory", "", "how much memory rendering may take, such as 4Gi; default: three quarters of what there is, 8Gi at most")
}

// leastMemory is what small environments need.
const leastMemory = 64 << 20

func (b *budgetFlags) budget() (budget.Budget, error) {
	budget := budget.Budget{Time: b.time}
	if b.time < time.Second {
		return budget, &hint.Error{Err: fmt.Errorf("--render-timeout %s is too short", b.time), Hint: "it is a second at least, as in --render-timeout 5m"}
	}
	if b.memory == "" {
		return budget, nil
	}
	const least = "it is 64Mi at least, as in --render-memory 4Gi"
	size, err := resource.ParseQuantity(b.memory)
	if err != nil {
		return budget, &hint.Error{Err: fmt.Errorf("--render-memory %q: %w", b.memory, err), Hint: least}
	}
	if budget.Memory = size.Value(); budget.Memory < leastMemory {
		return budget, &hint.Error{Err: fmt.Errorf("--render-memory %s is too little", b.memory), Hint: least}
	}
	return budget, nil
}
