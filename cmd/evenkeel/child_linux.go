package main

import "os"

// endsFirst has Linux end this process before others where memory runs out: it is
// what takes the memory, and nothing is lost with it.
func endsFirst() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) }
