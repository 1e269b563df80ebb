package health

// Mark is the sign of a state, the same in terminals, pages and pictures.
func (s State) Mark() string {
	switch s {
	case Healthy:
		return "✓"
	case Progressing:
		return "…"
	case Failed:
		return "✗"
	case Unknown:
		return "?"
	}
	return "·" // not read yet
}
