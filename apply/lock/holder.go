package lock

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// Holder says which process holds a lock, well enough for another one on the
// same machine to know that it is gone.
type Holder struct {
	Who  string `json:"who,omitempty"` // the person or job, as the command line knows it
	Host string `json:"host"`
	// Boot is the kernel's id of this start of the machine, PIDs its namespace
	// of process ids: a number means the same process only where both match.
	// Both are empty where the system has no /proc.
	Boot string `json:"boot,omitempty"`
	PIDs string `json:"pids,omitempty"`
	PID  int    `json:"pid"`
	// Started is the process's start in clock ticks since boot: process ids are
	// used again.
	Started string `json:"started,omitempty"`
	// Run tells two runs of one process apart.
	Run string `json:"run"`
}

// ThisProcess describes the caller, with a new Run.
func ThisProcess(who string) Holder {
	var run [8]byte
	_, _ = rand.Read(run[:]) // never fails: crypto/rand
	h := Holder{Who: who, PID: os.Getpid(), Run: hex.EncodeToString(run[:])}
	h.Host, _ = os.Hostname()
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		h.Boot = string(bytes.TrimSpace(boot))
	}
	h.PIDs, _ = os.Readlink("/proc/self/ns/pid")
	h.Started, _ = processStart(h.PID)
	return h
}

// mostWho bounds what is shown of a holder, in bytes.
const mostWho = 200

// String is how people see a holder, on one line: "jane@build-1 (pid 4711)".
func (h Holder) String() string {
	who := h.Host
	if h.Who != "" {
		who = h.Who + " on " + h.Host
	}
	who = plain.Line(who, mostWho)
	if h.PID == 0 {
		return who
	}
	return fmt.Sprintf("%s (pid %d)", who, h.PID)
}

// identity is the holder as a Lease's holderIdentity.
func (h Holder) identity() string { return h.Host + "/" + strconv.Itoa(h.PID) + "/" + h.Run }

// gone reports whether other certainly runs no more: it ran under the same boot
// and process ids as h, and its process has ended. False means "cannot tell".
func (h Holder) gone(other Holder) bool {
	if h.Boot == "" || h.PIDs == "" || h.Boot != other.Boot || h.PIDs != other.PIDs || h.Host != other.Host {
		return false
	}
	started, err := processStart(other.PID)
	if os.IsNotExist(err) {
		return true
	}
	return err == nil && other.Started != "" && started != other.Started
}

// processStart is the start time of a process in clock ticks since boot, field
// 22 of /proc/PID/stat (proc(5)). A process that has ended and was not waited
// for does not exist.
func processStart(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The second field is the command's name in parentheses and may hold
	// anything, parentheses and spaces too.
	rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const state, starttime = 0, 19 // fields 3 and 22
	if len(rest) <= starttime {
		return "", fmt.Errorf("/proc/%d/stat: %d fields", pid, len(rest))
	}
	if rest[state] == "Z" || rest[state] == "X" {
		return "", os.ErrNotExist
	}
	return rest[starttime], nil
}

// holderAnnotation carries the holder on the Lease, as JSON.
const holderAnnotation = "evenkeel.dev/holder"

func (h Holder) encode() string {
	data, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings and an int
	}
	return string(data)
}

// decodeHolder reads what encode wrote. What cannot be read is a holder that
// nobody knows anything about.
func decodeHolder(annotation, identity string) Holder {
	var h Holder
	if err := json.Unmarshal([]byte(annotation), &h); err != nil || h.identity() != identity {
		return Holder{Host: identity}
	}
	return h
}
