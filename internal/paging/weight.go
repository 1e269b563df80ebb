package paging

// Weight is about how many bytes a decoded object takes. Small values take more than they
// have on the wire.
func Weight(v any) int64 {
	const each = 16 // of a value, its kind and where it is
	switch v := v.(type) {
	case map[string]any:
		n := int64(3 * each)
		for key, item := range v {
			n += each + int64(len(key)) + Weight(item)
		}
		return n
	case []any:
		n := int64(2 * each)
		for _, item := range v {
			n += Weight(item)
		}
		return n
	case string:
		return each + int64(len(v))
	}
	return each
}
