package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// What is compressed in a record is unpacked up to a size only: who may write
// Secrets in an environment's namespace could else fill the memory of everybody
// who looks at it with a few bytes.
const (
	// membersLimit is far beyond the members of any environment: some 100,000.
	membersLimit = 16 << 20
	// revisionLimit bounds the manifests of a revision, ownRevisionLimit those of
	// one that an apply has signed.
	revisionLimit    = 64 << 20
	ownRevisionLimit = 1 << 30
	// windowLimit bounds what the decoder keeps for looking back; compress needs
	// 8 MiB.
	windowLimit = 32 << 20
)

// tooLarge is what was not unpacked.
type tooLarge struct{ limit int }

func (e tooLarge) Error() string {
	return fmt.Sprintf("it unpacks to more than %d MiB and is not read", e.limit>>20)
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
		return nil, tooLarge{limit}
	}
	return raw, err
}
