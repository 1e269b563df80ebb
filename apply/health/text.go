package health

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// short prints a duration as kubectl prints ages, to the precision that matters.
func short(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// join puts the parts that are not empty behind each other: "a: b: c".
func join(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ": ")
}

// oneLine makes text fit a line of at most limit bytes.
func oneLine(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	cut := limit
	for cut > 0 && text[cut]&0xC0 == 0x80 { // not inside a rune
		cut--
	}
	return text[:cut] + "..."
}

func ofReady(ready, desired int) string {
	return fmt.Sprintf("%d of %d ready", ready, desired)
}
