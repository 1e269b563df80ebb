package edge_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// probeEnv makes this program probe the edge that it describes and print the
// answers: how a test asks from inside a lab.
const probeEnv = "EDGE_TEST_PROBE"

// TestMain lets more tests run side by side than there are processors: those with
// a lab mostly wait.
func TestMain(m *testing.M) {
	if text := os.Getenv(probeEnv); text != "" {
		var c edge.Config
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for _, answer := range edge.Probe(context.Background(), c) {
			fmt.Println(answer)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}
