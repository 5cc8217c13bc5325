package devices

import "time"

// Chip is the one word by which a device's condition is shown.
type Chip string

// The chips, first match wins (fleet.md §11). The screens translate them.
const (
	ChipDisabled    Chip = "disabled"    // 停用
	ChipRetired     Chip = "retired"     // 已注销
	ChipPending     Chip = "pending"     // 待激活, 待批准
	ChipQuarantined Chip = "quarantined" // 隔离
	ChipLost        Chip = "lost"        // 失联
	ChipOffline     Chip = "offline"     // 离线
	ChipSuspect     Chip = "suspect"     // 重连中
	ChipOnline      Chip = "online"      // 在线
)

// Known reports whether c is a chip of this build.
func (c Chip) Known() bool {
	switch c {
	case ChipDisabled, ChipRetired, ChipPending, ChipQuarantined, ChipLost, ChipOffline, ChipSuspect, ChipOnline:
		return true
	}
	return false
}

// Rank orders chips: what needs a hand first.
func (c Chip) Rank() int {
	switch c {
	case ChipQuarantined:
		return 0
	case ChipPending:
		return 1
	case ChipOffline:
		return 2
	case ChipLost:
		return 3
	case ChipSuspect:
		return 4
	case ChipOnline:
		return 5
	case ChipDisabled:
		return 6
	case ChipRetired:
	}
	return 7
}

// LostAfter is how long a device of a class may be off before it counts as 失联.
func LostAfter(c Class) time.Duration {
	if c == Public {
		return 7 * 24 * time.Hour
	}
	return 30 * 24 * time.Hour
}

// ChipOf derives the chip from the facts. since is when the presence state began. The store keeps the chip beside the
// facts and changes it in the same statement; only the step from offline to lost waits for the sweeper.
func ChipOf(l Life, p State, c Class, since, now time.Time) Chip {
	switch l {
	case Disabled:
		return ChipDisabled
	case Retired:
		return ChipRetired
	case Pending:
		return ChipPending
	case Quarantined:
		return ChipQuarantined
	case Active:
	}
	switch p {
	case Connected:
		return ChipOnline
	case Suspect:
		return ChipSuspect
	case Offline:
	}
	if now.Sub(since) > LostAfter(c) {
		return ChipLost
	}
	return ChipOffline
}
