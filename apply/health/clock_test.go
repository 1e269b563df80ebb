package health

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestClock(t *testing.T) {
	local := judgedAt()
	for _, c := range []struct {
		name string
		// written are the server's times of writes that arrive one second apart,
		// as offsets to the local clock at their arrival.
		written []time.Duration
		want    time.Duration // of the server's time to the local one
	}{
		{"nothing seen", nil, 0},
		{"in step", []time.Duration{-900 * time.Millisecond, -1500 * time.Millisecond}, 0},
		{"in step, an old write delivered late", []time.Duration{-time.Hour, -time.Second}, 0},
		{"local clock ahead, or old writes", []time.Duration{-5 * time.Minute}, 0},
		{"local clock two minutes behind", []time.Duration{2*time.Minute - time.Second, 2*time.Minute - 2*time.Second}, 2*time.Minute - time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var clock clock
			for i, offset := range c.written {
				at := local.Add(time.Duration(i) * time.Second)
				obj := &unstructured.Unstructured{Object: map[string]any{}}
				stamp := metav1.NewTime(at.Add(offset))
				obj.Object["metadata"] = map[string]any{"managedFields": []any{
					map[string]any{"manager": "a", "time": stamp.UTC().Format(time.RFC3339Nano)},
					map[string]any{"manager": "b", "time": stamp.Add(-time.Hour).UTC().Format(time.RFC3339Nano)},
				}}
				clock.saw(obj, at)
			}
			got := clock.server(local).Sub(local)
			if diff := (got - c.want).Abs(); diff > time.Second {
				t.Errorf("the server is %s off, want %s", got, c.want)
			}
		})
	}
}
