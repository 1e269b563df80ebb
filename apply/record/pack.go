package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// What is compressed in a record is unpacked up to a size only: who may write
// Secrets in an environment's namespace could else fill the memory of everybody
// who looks at it with a few bytes.
const (
	// membersLimit is far beyond the members of any environment: some 100,000.
	membersLimit = 16 << 20
	// mostMembers bounds how many that are: an empty one is two bytes, and thirty times
	// as much decoded.
	mostMembers = 200_000
	// revisionLimit bounds the manifests of a revision, ownRevisionLimit those of
	// one that an apply has signed.
	revisionLimit    = 64 << 20
	ownRevisionLimit = 1 << 30
	// mostValues bounds the lists, objects and items of a revision that nobody has
	// signed: an empty one is two bytes, and a hundred times as much decoded.
	mostValues = 2_000_000
	// windowLimit bounds what the decoder keeps for looking back; compress needs
	// 8 MiB.
	windowLimit = 32 << 20
)

// TooLarge is what was not unpacked.
type TooLarge struct{ Limit int }

func (e TooLarge) Error() string {
	return fmt.Sprintf("it unpacks to more than %d MiB and is not read", e.Limit>>20)
}

// tooMany is what was unpacked and not decoded.
type tooMany struct{ limit int }

func (e tooMany) Error() string {
	return fmt.Sprintf("it holds more than %d values and is not read", e.limit)
}

// countValues counts the lists, objects and items of JSON. Those that are only text
// count too.
func countValues(raw []byte) int {
	return bytes.Count(raw, []byte(",")) + bytes.Count(raw, []byte("{")) + bytes.Count(raw, []byte("["))
}

func compress(raw []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(raw, nil), nil
}

// decompress is the reverse of compress, for what unpacks to no more than limit.
func decompress(packed []byte, limit int) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderMaxWindow(windowLimit))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(raw) > limit || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return nil, TooLarge{limit}
	}
	return raw, err
}

// The form of an environment inside a revision: what is applied, and neither the
// pins nor the order of environments.
type (
	packedEnvironment struct {
		Name        string       `json:"name"`
		Namespace   string       `json:"namespace"`
		Controllers []string     `json:"controllers,omitempty"`
		Units       []packedUnit `json:"units"`
		Healthy     Pulled       `json:"healthy,omitempty"` // Revision.Healthy
	}
	packedUnit struct {
		Name    string          `json:"name"`
		Type    string          `json:"type,omitempty"`
		After   []string        `json:"after,omitempty"`
		Timeout time.Duration   `json:"timeout,omitempty"`
		Objects []schema.Object `json:"objects"`
	}
)

// Pack is an environment as compressed JSON, without its Secrets where they are
// to be left out, and what was seen of its units.
func Pack(env *schema.Environment, secrets bool, healthy Pulled) ([]byte, error) {
	p := packedEnvironment{Name: env.Name, Namespace: env.Namespace, Controllers: env.Controllers, Healthy: healthy}
	for _, u := range env.Units {
		pu := packedUnit{Name: u.Name, Type: u.Type, After: u.After, Timeout: u.Timeout}
		for _, o := range u.Objects {
			if !secrets && o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
				continue
			}
			pu.Objects = append(pu.Objects, o)
		}
		p.Units = append(p.Units, pu)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return compress(raw)
}

// unpack is the reverse of pack.
func unpack(packed []byte, limit int) (*schema.Environment, Pulled, error) {
	data, err := decompress(packed, limit)
	if err != nil {
		return nil, nil, err
	}
	if limit < ownRevisionLimit && countValues(data) > mostValues {
		return nil, nil, tooMany{mostValues}
	}
	var p packedEnvironment
	if err := kjson.Unmarshal(data, &p); err != nil {
		return nil, nil, err
	}
	env := &schema.Environment{Name: p.Name, Namespace: p.Namespace, Controllers: p.Controllers}
	for _, pu := range p.Units {
		if pu.Timeout < 0 || pu.Timeout > longestTimeout {
			return nil, nil, fmt.Errorf("unit %.80q has the timeout %s", pu.Name, pu.Timeout)
		}
		for _, o := range pu.Objects {
			if o.Unstructured == nil {
				return nil, nil, fmt.Errorf("unit %.80q: no object", pu.Name)
			}
			if err := nameable(o.Object); err != nil {
				return nil, nil, fmt.Errorf("unit %.80q: %w", pu.Name, err)
			}
		}
		env.Units = append(env.Units, schema.Unit{Name: pu.Name, Type: pu.Type, After: pu.After, Timeout: pu.Timeout, Objects: pu.Objects})
	}
	return env, p.Healthy, Runnable(env)
}

// longestTimeout bounds the timeout of a unit that a revision holds.
const longestTimeout = 24 * time.Hour

// nameable refuses what is no object.
func nameable(object map[string]any) error {
	metadata, _ := object["metadata"].(map[string]any)
	for _, field := range []any{object["apiVersion"], object["kind"], metadata["name"]} {
		if text, ok := field.(string); !ok || text == "" {
			return errors.New("an object without apiVersion, kind or name")
		}
	}
	if ns, ok := metadata["namespace"].(string); metadata["namespace"] != nil && !ok {
		return fmt.Errorf("%.80v has no name for its namespace: %.80q", metadata["name"], ns)
	}
	return nil
}
