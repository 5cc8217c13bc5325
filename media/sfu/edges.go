package sfu

import (
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// Limits of a room (media.md §15.1).
const (
	MaxMembers   = 8 // members who may publish
	MaxListeners = 4 // members who may not
)

// Live is what an attachment's connections carry now.
type Live struct {
	Sub bool        // its downlink is up (lost for less than the grace counts as up)
	Pub media.Kinds // what its uplink publishes
}

// State is what Edges needs to know beside the spec.
type State struct {
	Live   map[ident.AttachmentID]Live
	Muted  map[ident.ParticipantID]media.Kinds // own mutes
	Barred map[ident.ParticipantID]bool        // zone barrier not yet passed: nothing of theirs goes out (media.md §10.2)
}

// Edges returns the open paths of a room, in the order of spec.Members. Everything it does not name is closed, and
// nothing else decides (media.md §4.2): both are members of the same zone, which is not the lobby; the kind is
// allowed and not gated, the publisher publishes it and has not muted it; both roles are known; the subscriber has a
// live downlink, for sound the one that plays it; the publisher has passed the zone barrier and has a live downlink
// himself, because nobody is heard who cannot hear.
func Edges(spec media.RoomSpec, st State) []media.Edge {
	if spec.Closed {
		return nil
	}
	var edges []media.Edge
	for _, from := range spec.Members {
		pub, hears := published(from, st)
		if !hears || st.Barred[from.ID] || !known(from.Role) || !mediaZone(from.Zone) {
			continue
		}
		pub &= from.Allow &^ from.Gated &^ st.Muted[from.ID]
		for _, to := range spec.Members {
			if to.ID == from.ID || to.Zone != from.Zone || !known(to.Role) {
				continue
			}
			for _, kind := range []media.Kinds{media.Mic, media.Cam} {
				if pub&kind != 0 && receives(to, kind, st) {
					edges = append(edges, media.Edge{From: from.ID, To: to.ID, Kind: kind})
				}
			}
		}
	}
	return edges
}

// Plays reports whether an attachment is one that a track of this kind goes to.
func Plays(a media.Attachment, kind media.Kinds) bool {
	return a.Kind != media.AttachCapture && (kind != media.Mic || a.Sound)
}

// Publishes reports whether an attachment of this kind has an uplink.
func Publishes(k media.AttachKind) bool { return k == media.AttachFull || k == media.AttachCapture }

// Subscribes reports whether an attachment of this kind has a downlink.
func Subscribes(k media.AttachKind) bool { return k == media.AttachFull || k == media.AttachView }

func published(m media.Member, st State) (kinds media.Kinds, hears bool) {
	for _, a := range m.Attach {
		live := st.Live[a.ID]
		if Publishes(a.Kind) {
			kinds |= live.Pub
		}
		hears = hears || (Subscribes(a.Kind) && live.Sub)
	}
	return kinds, hears
}

func receives(m media.Member, kind media.Kinds, st State) bool {
	for _, a := range m.Attach {
		if Plays(a, kind) && st.Live[a.ID].Sub {
			return true
		}
	}
	return false
}

func known(r media.Role) bool { return r == media.RoleMediator || r == media.RoleParty }

func mediaZone(z media.Zone) bool {
	return z == media.ZoneJoint || strings.HasPrefix(string(z), "check:") || strings.HasPrefix(string(z), "caucus:")
}

// Validate refuses a spec that could open a path nobody meant (media.md §4.1).
//
// Errors: fault.TooMany "rtc.room_full"; fault.Invalid "rtc.bad_spec" with the field at fault.
func Validate(spec media.RoomSpec) error {
	seen := map[ident.ParticipantID]bool{}
	atts := map[ident.AttachmentID]bool{}
	people, listeners := 0, 0
	mediated := map[media.Zone]bool{}
	for _, m := range spec.Members {
		if m.Role == media.RoleMediator {
			mediated[m.Zone] = true
		}
	}
	for _, m := range spec.Members {
		if m.ID == "" || seen[m.ID] {
			return fault.InField("rtc.bad_spec", "members")
		}
		seen[m.ID] = true
		if m.Allow != 0 {
			people++
		} else {
			listeners++
		}
		if err := validZone(m, mediated); err != nil {
			return err
		}
		if err := validAttach(m, atts); err != nil {
			return err
		}
	}
	if people > MaxMembers || listeners > MaxListeners {
		return fault.New(fault.TooMany, "rtc.room_full")
	}
	return nil
}

func validZone(m media.Member, mediated map[media.Zone]bool) error {
	zone := string(m.Zone)
	switch {
	case m.Zone == media.ZoneLobby, m.Zone == media.ZoneJoint:
		return nil
	case strings.HasPrefix(zone, "check:") && (m.Role == media.RoleMediator || m.Zone == media.CheckZone(m.ID)):
		return nil
	case strings.HasPrefix(zone, "caucus:") && mediated[m.Zone]:
		return nil
	}
	return fault.InField("rtc.bad_spec", "zone")
}

// validAttach allows at most one attachment that publishes, one view, two in all, and exactly one that plays sound
// among those that can (media.md §4.1, §4.5).
func validAttach(m media.Member, seen map[ident.AttachmentID]bool) error {
	pubs, views, plays, sound := 0, 0, 0, 0
	for _, a := range m.Attach {
		if a.ID == "" || seen[a.ID] {
			return fault.InField("rtc.bad_spec", "attach")
		}
		seen[a.ID] = true
		if Publishes(a.Kind) {
			pubs++
		}
		if a.Kind == media.AttachView {
			views++
		}
		if Subscribes(a.Kind) {
			plays++
			if a.Sound {
				sound++
			}
		}
	}
	if pubs > 1 || views > 1 || pubs+views != len(m.Attach) || (plays > 0 && sound != 1) {
		return fault.InField("rtc.bad_spec", "attach")
	}
	return nil
}
