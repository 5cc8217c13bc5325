package sfu_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/media/sfu"
)

const both = media.Mic | media.Cam

func full(id string, role media.Role, zone media.Zone) media.Member {
	return media.Member{ID: ident.ParticipantID(id), Role: role, Zone: zone, Allow: both, Attach: []media.Attachment{
		{ID: ident.AttachmentID(id), Kind: media.AttachFull, Sound: true},
	}}
}

// pair is a screen and a phone of one person.
func pair(id string, zone media.Zone) media.Member {
	return media.Member{ID: ident.ParticipantID(id), Role: media.RoleParty, Zone: zone, Allow: both, Attach: []media.Attachment{
		{ID: ident.AttachmentID(id + "-tv"), Kind: media.AttachView, Sound: true},
		{ID: ident.AttachmentID(id + "-phone"), Kind: media.AttachCapture},
	}}
}

func TestEdges(t *testing.T) {
	t.Parallel()
	up := sfu.Live{Sub: true, Pub: both}
	live := func(ids ...string) map[ident.AttachmentID]sfu.Live {
		m := map[ident.AttachmentID]sfu.Live{}
		for _, id := range ids {
			m[ident.AttachmentID(id)] = up
		}
		return m
	}
	ming := full("ming", media.RoleMediator, media.ZoneJoint)
	wang := full("wang", media.RoleParty, media.ZoneJoint)
	with := func(m media.Member, change func(*media.Member)) media.Member {
		change(&m)
		return m
	}
	in := func(m media.Member, z media.Zone) media.Member { m.Zone = z; return m }
	tests := map[string]struct {
		members []media.Member
		state   sfu.State
		want    []string
	}{
		"joint: both ways": {
			[]media.Member{ming, wang},
			sfu.State{Live: live("ming", "wang")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming mic", "wang>ming cam"},
		},
		"lobby: nothing": {
			[]media.Member{in(ming, media.ZoneLobby), in(wang, media.ZoneLobby)}, sfu.State{Live: live("ming", "wang")}, nil,
		},
		"an unknown zone: nothing": {
			[]media.Member{in(ming, "attic"), in(wang, "attic")}, sfu.State{Live: live("ming", "wang")}, nil,
		},
		"one in the lobby, one in joint: nothing": {
			[]media.Member{ming, in(wang, media.ZoneLobby)}, sfu.State{Live: live("ming", "wang")}, nil,
		},
		"two check zones do not mix": {
			[]media.Member{in(ming, "check:wang"), in(wang, "check:wang"), full("li", media.RoleParty, "check:li")},
			sfu.State{Live: live("ming", "wang", "li")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming mic", "wang>ming cam"},
		},
		"a caucus does not reach joint": {
			[]media.Member{in(ming, "caucus:A"), in(wang, "caucus:A"), full("li", media.RoleParty, media.ZoneJoint)},
			sfu.State{Live: live("ming", "wang", "li")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming mic", "wang>ming cam"},
		},
		"an unknown role neither speaks nor hears": {
			[]media.Member{ming, with(wang, func(m *media.Member) { m.Role = "guest" })}, sfu.State{Live: live("ming", "wang")}, nil,
		},
		"not connected: nothing": {
			[]media.Member{ming, wang}, sfu.State{Live: live("ming")}, nil,
		},
		"only what is allowed": {
			[]media.Member{ming, with(wang, func(m *media.Member) { m.Allow = media.Mic })},
			sfu.State{Live: live("ming", "wang")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming mic"},
		},
		"not what the room silences": {
			[]media.Member{ming, with(wang, func(m *media.Member) { m.Gated = media.Mic })},
			sfu.State{Live: live("ming", "wang")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming cam"},
		},
		"not what the person has muted": {
			[]media.Member{ming, wang},
			sfu.State{Live: live("ming", "wang"), Muted: map[ident.ParticipantID]media.Kinds{"ming": both}},
			[]string{"wang>ming mic", "wang>ming cam"},
		},
		"nothing before the zone barrier has passed": {
			[]media.Member{ming, wang},
			sfu.State{Live: live("ming", "wang"), Barred: map[ident.ParticipantID]bool{"wang": true}},
			[]string{"ming>wang mic", "ming>wang cam"},
		},
		"nobody is heard who cannot hear": {
			[]media.Member{ming, wang},
			sfu.State{Live: map[ident.AttachmentID]sfu.Live{"ming": up, "wang": {Pub: both}}},
			nil,
		},
		"a screen and a phone are one person": {
			[]media.Member{ming, pair("wang", media.ZoneJoint)},
			sfu.State{Live: live("ming", "wang-tv", "wang-phone")},
			[]string{"ming>wang mic", "ming>wang cam", "wang>ming mic", "wang>ming cam"},
		},
		"a phone alone is not heard": {
			[]media.Member{ming, pair("wang", media.ZoneJoint)}, sfu.State{Live: live("ming", "wang-phone")}, nil,
		},
		"a screen alone sees and hears": {
			[]media.Member{ming, pair("wang", media.ZoneJoint)},
			sfu.State{Live: live("ming", "wang-tv")},
			[]string{"ming>wang mic", "ming>wang cam"},
		},
		"sound goes to the one that plays it": {
			[]media.Member{ming, {
				ID: "wang", Role: media.RoleParty, Zone: media.ZoneJoint, Allow: both, Attach: []media.Attachment{
					{ID: "wang-tv", Kind: media.AttachView}, {ID: "wang-phone", Kind: media.AttachFull, Sound: true},
				},
			}},
			sfu.State{Live: live("ming", "wang-tv")},
			[]string{"ming>wang cam"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range sfu.Edges(media.RoomSpec{Members: tt.members}, tt.state) {
				kind := "mic"
				if e.Kind == media.Cam {
					kind = "cam"
				}
				got = append(got, string(e.From)+">"+string(e.To)+" "+kind)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("edges (-want +got):\n%s", d)
			}
			if closed := sfu.Edges(media.RoomSpec{Members: tt.members, Closed: true}, tt.state); closed != nil {
				t.Errorf("a closed room has edges: %v", closed)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ming := full("ming", media.RoleMediator, media.ZoneJoint)
	crowd := func(n int, allow media.Kinds) []media.Member {
		var ms []media.Member
		for i := range n {
			m := full(string(rune('a'+i)), media.RoleParty, media.ZoneJoint)
			m.Allow = allow
			ms = append(ms, m)
		}
		return ms
	}
	attach := func(as ...media.Attachment) []media.Member {
		m := ming
		m.Attach = as
		return []media.Member{m}
	}
	tests := map[string]struct {
		members []media.Member
		code    string
	}{
		"mediator and a pair":                     {[]media.Member{ming, pair("wang", media.ZoneJoint)}, ""},
		"nobody attached yet":                     {attach(), ""},
		"a member twice":                          {[]media.Member{ming, ming}, "rtc.bad_spec"},
		"eight people":                            {crowd(8, both), ""},
		"nine people":                             {crowd(9, both), "rtc.room_full"},
		"five listeners":                          {crowd(5, 0), "rtc.room_full"},
		"the check zone of another":               {[]media.Member{ming, full("wang", media.RoleParty, "check:li")}, "rtc.bad_spec"},
		"the mediator in a check zone":            {[]media.Member{full("ming", media.RoleMediator, "check:wang"), full("wang", media.RoleParty, "check:wang")}, ""},
		"a caucus without a mediator":             {[]media.Member{ming, full("wang", media.RoleParty, "caucus:A")}, "rtc.bad_spec"},
		"an unknown zone":                         {[]media.Member{full("wang", media.RoleParty, "attic")}, "rtc.bad_spec"},
		"two that publish":                        {attach(media.Attachment{ID: "1", Kind: media.AttachFull, Sound: true}, media.Attachment{ID: "2", Kind: media.AttachCapture}), "rtc.bad_spec"},
		"two screens":                             {attach(media.Attachment{ID: "1", Kind: media.AttachView, Sound: true}, media.Attachment{ID: "2", Kind: media.AttachView}), "rtc.bad_spec"},
		"nothing that plays sound":                {attach(media.Attachment{ID: "1", Kind: media.AttachFull}), "rtc.bad_spec"},
		"sound twice":                             {attach(media.Attachment{ID: "1", Kind: media.AttachView, Sound: true}, media.Attachment{ID: "2", Kind: media.AttachFull, Sound: true}), "rtc.bad_spec"},
		"an unknown kind":                         {attach(media.Attachment{ID: "1", Kind: "ear", Sound: true}), "rtc.bad_spec"},
		"the same attachment for two people":      {[]media.Member{ming, {ID: "li", Zone: media.ZoneJoint, Role: media.RoleParty, Attach: ming.Attach}}, "rtc.bad_spec"},
		"a silent screen and a phone that speaks": {attach(media.Attachment{ID: "1", Kind: media.AttachView}, media.Attachment{ID: "2", Kind: media.AttachFull, Sound: true}), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sfu.Validate(media.RoomSpec{Members: tt.members})
			if got := fault.CodeOf(err); err != nil && got != tt.code || err == nil && tt.code != "" {
				t.Errorf("error = %v, want %q", err, tt.code)
			}
		})
	}
}
