package apply_test

import (
	"os"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }
