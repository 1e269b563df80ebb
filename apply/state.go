package apply

// state is what evenkeel keeps beside an environment for later plans: receipts
// of dry-runs that changed nothing, and the key of its keyed hashes.
type state struct {
	key      []byte
	receipts map[string]string
	version  string
}
