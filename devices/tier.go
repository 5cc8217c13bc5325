package devices

import (
	"regexp"
	"strconv"
)

// Tier is what the browser engine of a terminal can do (ui.md §2.3).
type Tier string

// The tiers, by the major version of Chromium.
const (
	TierA Tier = "A" // 83 and later
	TierB Tier = "B" // 72 to 82
	TierC Tier = "C" // 66 to 71
	TierD Tier = "D" // older
)

// Known reports whether t is a tier of this build.
func (t Tier) Known() bool { return t == TierA || t == TierB || t == TierC || t == TierD }

var chromium = regexp.MustCompile(`(?i)chrom(?:e|ium)/?\s*(\d{1,4})|^(\d{1,4})`)

// TierOf reads the tier from what a terminal says of its engine, "" when that is no Chromium.
func TierOf(engine string) Tier {
	m := chromium.FindStringSubmatch(engine)
	if m == nil {
		return ""
	}
	v, err := strconv.Atoi(m[1] + m[2])
	switch {
	case err != nil:
		return ""
	case v >= 83:
		return TierA
	case v >= 72:
		return TierB
	case v >= 66:
		return TierC
	}
	return TierD
}
