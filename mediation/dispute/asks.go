package dispute

import (
	"slices"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// AskKind is what a party is asked.
type AskKind string

// The kinds of asks.
const (
	AskConvert    AskKind = "convert"    // 现在就调解吗？
	AskInvite     AskKind = "invite"     // may this named person join (art. 20)
	AskNotice     AskKind = "notice"     // rights and duties, read aloud (art. 24)
	AskConsents   AskKind = "consents"   // online, electronic signature, hand-over of the papers
	AskDisclosure AskKind = "disclosure" // what binds the mediator to a party
)

// The items of AskConsents.
const (
	ItemOnline  = "online"
	ItemESign   = "esign"
	ItemHandOff = "hand_off"
)

// Ask is one question to one party; the screen puts them one by one, in order.
type Ask struct {
	ID         string
	Party      ident.PartyID
	Kind       AskKind
	Version    string        // of the text that was put
	About      ident.PartyID // AskInvite: who is to join
	At         int64
	AnsweredAt int64
	Yes        bool
	Items      map[string]bool
	Spoken     bool   // the terminal read it aloud
	Channel    string // device, capture, party
}

// Reply is the answer to an ask.
type Reply struct {
	Yes     bool
	Items   map[string]bool // AskConsents
	Spoken  bool
	Channel string
}

// ask puts a question unless the same one waits for its answer.
func (d *Dispute) ask(p ident.PartyID, k AskKind, about ident.PartyID, now int64) {
	for i := range d.Asks {
		if a := &d.Asks[i]; a.Party == p && a.Kind == k && a.About == about && a.AnsweredAt == 0 {
			return
		}
	}
	d.Asks = append(d.Asks, Ask{ID: ident.New[string](), Party: p, Kind: k, Version: TextVersion, About: about, At: now})
}

// Pending returns what a party has still to answer, in order.
func (d *Dispute) Pending(p ident.PartyID) []Ask {
	var list []Ask
	for _, a := range d.Asks {
		if a.Party == p && a.AnsweredAt == 0 {
			list = append(list, a)
		}
	}
	return list
}

// welcome asks a party that is here for the first time what everybody is asked before the talk.
func (d *Dispute) welcome(p *Party, now int64) {
	if p.NoticeAt == 0 {
		d.ask(p.ID, AskNotice, "", now)
	}
	if p.Consents.Online == nil || !*p.Consents.Online {
		d.ask(p.ID, AskConsents, "", now)
	}
	if d.Disclosure != "" && (p.DisclosureOK == nil || !*p.DisclosureOK) {
		d.ask(p.ID, AskDisclosure, "", now)
	}
}

// AskAgain puts the questions again that a party did not agree to: the mediator has asked him in and explains.
func (d *Dispute) AskAgain(p *Party, now int64) {
	if d.State == Screening || d.State == Contacting || d.State == Accepted {
		d.welcome(p, now)
	}
}

// Converted is what an answer leads to beyond the dispute itself.
type Converted uint8

// What an answer leads to.
const (
	Nothing     Converted = iota
	ToMediation           // party A wants to mediate: the session goes on in the check zone
	LinkOpen              // an invitation became live: its person is told
)

// Answer takes a party's answer. The answer to an ask that was answered before changes nothing.
//
// Errors: fault.NotFound "ask.none"; fault.Invalid "ask.bad_items"; fault.Conflict "dispute.state" when the dispute is
// over.
func (d *Dispute) Answer(party ident.PartyID, id string, r Reply, now int64) (done Converted, links []ident.LinkID, err error) {
	i := slices.IndexFunc(d.Asks, func(a Ask) bool { return a.ID == id && a.Party == party })
	p := d.Party(party)
	if i < 0 || p == nil {
		return Nothing, nil, fault.New(fault.NotFound, "ask.none")
	}
	a := &d.Asks[i]
	if a.AnsweredAt > 0 {
		return Nothing, nil, nil
	}
	if d.State.Over() {
		return Nothing, nil, errState(d.State)
	}
	if a.Kind == AskNotice && !r.Yes {
		return Nothing, nil, nil // it stays to be read: there is nothing to refuse in it
	}
	if a.Kind == AskConsents {
		if err := checkItems(r.Items); err != nil {
			return Nothing, nil, err
		}
	}
	a.AnsweredAt, a.Yes, a.Items, a.Spoken, a.Channel = now, r.Yes, r.Items, r.Spoken, r.Channel
	switch a.Kind {
	case AskConvert:
		if !r.Yes {
			return Nothing, nil, d.fail(CodeUnwilling, "", party, now)
		}
		if err := d.fire(Screen); err != nil {
			return Nothing, nil, err
		}
		d.welcome(p, now)
		return ToMediation, nil, nil
	case AskInvite:
		return d.invited(a.About, r.Yes, now)
	case AskNotice:
		p.NoticeAt = now
	case AskConsents:
		p.Consents = Consents{Online: new(r.Items[ItemOnline]), ESign: new(r.Items[ItemESign]), HandOff: new(r.Items[ItemHandOff])}
	case AskDisclosure:
		p.DisclosureOK = new(r.Yes)
	}
	return Nothing, nil, nil
}

// invited notes one answer about a named person: a link is live when every one who was asked said yes, and is taken
// back at the first no.
func (d *Dispute) invited(about ident.PartyID, yes bool, now int64) (Converted, []ident.LinkID, error) {
	l := d.LinkOf(about, Join)
	if l == nil || l.State != LinkInert {
		return Nothing, nil, nil
	}
	if !yes {
		l.State, l.RevokedAt = LinkRevoked, now
		d.drop(about)
		return Nothing, nil, nil
	}
	for _, a := range d.Asks {
		if a.Kind == AskInvite && a.About == about && a.AnsweredAt == 0 {
			return Nothing, nil, nil
		}
	}
	l.State = LinkLive
	return LinkOpen, []ident.LinkID{l.ID}, nil
}

func checkItems(items map[string]bool) error {
	for _, k := range []string{ItemOnline, ItemESign, ItemHandOff} {
		if _, ok := items[k]; !ok {
			return fault.InField("ask.bad_items", "items."+k)
		}
	}
	return nil
}

// Disclose notes what binds the mediator to a party and asks everybody who is here whether he may go on. The same text
// again asks nobody anew.
//
// Errors: fault.Invalid "dispute.bad_text"; fault.Conflict "dispute.state".
func (d *Dispute) Disclose(text string, now int64) error {
	if d.State.Over() || d.State == Registered {
		return errState(d.State)
	}
	if err := checkText(text, "text", 1, maxText); err != nil {
		return err
	}
	if text == d.Disclosure {
		return nil
	}
	d.Disclosure = text
	d.Asks = slices.DeleteFunc(d.Asks, func(a Ask) bool { return a.Kind == AskDisclosure && a.AnsweredAt == 0 })
	for i := range d.Parties {
		p := &d.Parties[i]
		p.DisclosureOK = nil
		if p.Participant != "" {
			d.ask(p.ID, AskDisclosure, "", now)
		}
	}
	return nil
}
