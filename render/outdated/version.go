package outdated

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// version is a tag that can be compared: v1.2.3-jdk21 is the prefix v, numbers and the
// suffix -jdk21. Two tags are of one form where prefix, count of numbers and suffix are
// the same: 3.7 is a tag that moves beside 3.7.13, and -jdk25 is another image than
// -jdk21.
type version struct {
	tag, prefix, suffix string
	parts               int
	number              *semver.Version
}

var (
	tagForm = regexp.MustCompile(`^(v?)([0-9]{1,9}(?:\.[0-9]{1,9}){1,2})([-+_][A-Za-z0-9._+-]*)?$`)
	// preview are suffixes of what is not released.
	preview = regexp.MustCompile(`(?i)(^|[-._+0-9])(alpha|beta|rc|cr|pre|preview|dev|snapshot|nightly|canary|milestone|m)[-._]?[0-9.]*$`)
	counter = regexp.MustCompile(`^(.*?)([0-9]{1,9})$`)
)

// mostTag is the longest tag that the specification of registries allows.
const mostTag = 128

func parse(tag string) (version, bool) {
	if len(tag) > mostTag {
		return version{}, false
	}
	m := tagForm.FindStringSubmatch(tag)
	if m == nil {
		return version{}, false
	}
	number, err := semver.NewVersion(m[2])
	if err != nil {
		return version{}, false
	}
	return version{tag: tag, prefix: m[1], suffix: m[3], parts: strings.Count(m[2], ".") + 1, number: number}, true
}

func (v version) preview() bool { return preview.MatchString(v.suffix) }

// newer says whether another version is newer than this one, and of its form. Of a preview
// the release is newer.
func (v version) newer(other version) bool {
	if other.preview() || v.prefix != other.prefix || v.parts != other.parts {
		return false
	}
	if v.preview() {
		return other.suffix == "" && !other.number.LessThan(v.number)
	}
	return v.suffix == other.suffix && other.number.GreaterThan(v.number)
}

// newest is the newest of tags that is newer than a version; the version itself where
// none is.
func (v version) newest(tags []string) version {
	best := v
	for _, tag := range tags {
		if other, ok := parse(tag); ok && best.newer(other) {
			best = other
		}
	}
	return best
}

// counts compares versions whose suffix ends in a number that counts releases, such as
// -flannel3: less than zero where a is the older one. It is false where they differ in more.
func counts(a, b version) (order int, ok bool) {
	x, y := counter.FindStringSubmatch(a.suffix), counter.FindStringSubmatch(b.suffix)
	if x == nil || y == nil || x[1] != y[1] || a.prefix != b.prefix || a.parts != b.parts {
		return 0, false
	}
	if order := a.number.Compare(b.number); order != 0 {
		return order, true
	}
	n, _ := strconv.Atoi(x[2])
	m, _ := strconv.Atoi(y[2])
	return n - m, true
}
