package record

import "github.com/seed-428f4edd/evenkeel/schema"

// Compress compresses as all records are.
func Compress(raw []byte) ([]byte, error) { return compress(raw) }

// UnpackForged reads manifests that nobody has signed.
func UnpackForged(packed []byte) (*schema.Environment, Pulled, error) {
	return unpack(packed, revisionLimit)
}
