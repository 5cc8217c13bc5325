package rtc_test

import (
	"strings"

	"heyi/internal/ident"
	"heyi/media"
)

// room is a spec of a mediator and a party, both with one full attachment.
func room(zone media.Zone) media.RoomSpec {
	return media.RoomSpec{
		Room: "room", Session: "session", Fence: 1, Epoch: 1, Phase: "joint",
		Members: []media.Member{member("ming", media.RoleMediator, zone, media.AttachFull), member("wang", media.RoleParty, zone, media.AttachFull)},
	}
}

func member(id string, role media.Role, zone media.Zone, kinds ...media.AttachKind) media.Member {
	m := media.Member{ID: ident.ParticipantID(id), Name: strings.ToUpper(id), Role: role, Zone: zone, Allow: media.Mic | media.Cam}
	for _, k := range kinds {
		m.Attach = append(m.Attach, media.Attachment{
			ID: ident.AttachmentID(id + "-" + string(k)), Kind: k, Sound: k != media.AttachCapture, JoinGen: 1,
		})
	}
	return m
}

func ticket(id string, kind media.AttachKind) media.Ticket {
	return media.Ticket{
		Room: "room", Participant: ident.ParticipantID(id), Attachment: ident.AttachmentID(id + "-" + string(kind)),
		Kind: kind, JoinGen: 1, Fence: 1,
	}
}
