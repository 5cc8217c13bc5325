package flow

import (
	"context"
	"log/slog"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/notify"
	"heyi/internal/org"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
)

// Docket is everything that one command on a dispute may change together: the dispute with its parties, links and asks,
// the newest version of its agreement, its session; and what the change sends out.
type Docket struct {
	Dispute   dispute.Dispute     // zero ID: none yet
	Agreement agreement.Agreement // the newest version; V 0: none yet
	Session   session.Session
	Mediator  MediatorView  // of the session
	Unit      ident.UnitID  // his own
	Phone     ident.GrantID // phone paired with the terminal, empty when none
	Terminal  string        // its name
	Gone      bool          // the person at the terminal is gone
	Handoff   *HandoffView  // of the dossier, nil before
	Files     []Document    // kept already

	// What the command adds; the store writes it in the same transaction.
	NewFiles []Document           // with their content
	Former   *agreement.Agreement // the version that Agreement replaces
	Texts    []notify.Text
	Package  *parcel.Item
	Notes    []Note // events beside that of the command
	// Serial draws the next number of the committee in a year, gap-free; it may be called once, in the change alone.
	Serial func(year int) (int64, error)
}

// Document is a file of a dispute. Content is set only while it is new.
type Document struct {
	Digest    string
	Name      string
	MediaType string
	Paper     int
	Size      int64
	Content   []byte
}

// Note is an event of a dispute with ids, states and digests only.
type Note struct {
	Type string
	Data map[string]string
}

// DocketRef names a dispute; one of its fields is set.
type DocketRef struct {
	Dispute ident.DisputeID
	Session ident.SessionID // its newest dispute, or none yet
	Link    ident.LinkID
	Device  ident.DeviceID // of who is at this terminal now
}

// DocketChange is a docket before and after a command.
type DocketChange struct {
	Before, After Docket
	Ver           int64 // version of the terminal's situation
}

// DocketStore is the truth about disputes.
type DocketStore interface {
	// ChangeDocket loads the docket of ref, lets fn change it and saves it in one transaction: versions, events, links,
	// files, texts, the package, the epoch of the room. A repeat of the command's key changes nothing and returns the
	// present docket. fn may run more than once. Errors: fault.NotFound "dispute.none", "session.none"; those of fn.
	ChangeDocket(ctx context.Context, cmd mediation.Command, ref DocketRef, fn func(*Docket) error) (DocketChange, error)
	// Docket reads a docket. Errors: as ChangeDocket.
	Docket(ctx context.Context, ref DocketRef) (Docket, error)
	// File reads a file of a dispute. Errors: fault.NotFound "file.none".
	File(ctx context.Context, id ident.DisputeID, digest string) (Document, error)
	// Unfinished lists the disputes whose agreement waits for the seal, or whose dossier was delivered meanwhile.
	Unfinished(ctx context.Context, limit int) ([]ident.DisputeID, error)
	// Chain returns the events of a dispute for its dossier, as JSON.
	Chain(ctx context.Context, id ident.DisputeID) ([]byte, error)
	// SearchHash is the keyed hash by which an identity number is found.
	SearchHash(what, text string) string
}

// Reauth proves anew that a staff member is himself; people.Service has it.
type Reauth interface {
	// Confirm checks password and second factor. Errors: fault.Forbidden "agreement.reauth_required"; fault.TooMany
	// "auth.locked".
	Confirm(ctx context.Context, id ident.StaffID, password, totp string) error
}

// DocketDeps are what Dockets works with. All must be set.
type DocketDeps struct {
	Store     DocketStore
	Rooms     Rooms
	Nudges    coord.Nudges
	Tree      *org.Tree
	Calendar  *org.Calendar
	Secrets   partylink.Secrets
	Reauth    Reauth
	Render    func(paper.Paper) ([]byte, error)                              // a PDF; the same paper gives the same bytes
	SealKey   func(ctx context.Context, unit ident.UnitID) (sign.Key, error) // of a committee
	PublicURL string                                                         // what stands before /join, /s and /verify
	Session   session.Limits
	// InviteLife is how long the link of an invitation may be used first; 0 is dispute.JoinLife.
	InviteLife time.Duration
	TZ         *time.Location
	Now        func() time.Time
	Logger     *slog.Logger
}

// Dockets carries out the commands on disputes, each through ChangeDocket, and shows them to staff and parties.
//
// Staff may command a dispute whose session's mediator they are, and look at those of their subtree; a party acts for
// himself only: everything else is fault.NotFound.
type Dockets struct {
	d    DocketDeps
	wake chan struct{} // an agreement waits for its seal
}

// NewDockets returns ready Dockets.
func NewDockets(d DocketDeps) *Dockets {
	if d.Session == (session.Limits{}) {
		d.Session = session.Defaults()
	}
	if d.TZ == nil {
		d.TZ = time.UTC
	}
	return &Dockets{d: d, wake: make(chan struct{}, 1)}
}

func noDispute() error { return fault.New(fault.NotFound, "dispute.none") }

// command makes the command of a request with an idempotency key.
func (s *Dockets) command(by By, name, key string) (mediation.Command, error) {
	if !ident.Valid(key) {
		return mediation.Command{}, fault.InField("request.bad_key", "key")
	}
	return mediation.Command{Name: name, Actor: by.Actor, Key: key, At: s.d.Now().UnixMicro(), Cause: by.Cause}, nil
}

// change saves a docket, then applies its room and tells everybody. What fails after the commit is only logged: the
// sweeps repeat it.
func (s *Dockets) change(ctx context.Context, cmd mediation.Command, ref DocketRef, fn func(*Docket) error) (Docket, error) {
	c, err := s.d.Store.ChangeDocket(ctx, cmd, ref, func(d *Docket) error {
		if err := fn(d); err != nil {
			return err
		}
		s.derive(d)
		return nil
	})
	if err != nil {
		return c.After, err
	}
	s.tell(ctx, c)
	return c.After, nil
}

// derive fills in the hashes of new links and lets what nobody may use any more be over.
func (s *Dockets) derive(d *Docket) {
	for i := range d.Dispute.Links {
		l := &d.Dispute.Links[i]
		if l.TokenHash == "" {
			token, code := s.d.Secrets.Of(l.ID)
			l.TokenHash, l.CodeHash = partylink.Hash(token), partylink.Hash(code)
		}
		if d.Dispute.State.Over() && (l.State == dispute.LinkInert || l.State == dispute.LinkLive) {
			l.State = dispute.LinkOver
		}
	}
}

func (s *Dockets) tell(ctx context.Context, c DocketChange) {
	k := session.Change{Before: c.Before.Session, After: c.After.Session, Phone: c.After.Phone, Ver: c.Ver}
	if k.After.Epoch != k.Before.Epoch {
		if err := s.d.Rooms.Apply(ctx, k.After); err != nil {
			s.d.Logger.WarnContext(ctx, "apply a room", slog.String("session", string(k.After.ID)), slog.Any("error", err))
		}
	}
	list := session.Nudges(k)
	a, b := &c.After, &c.Before
	to := []string{"staff/" + string(a.Session.Mediator)}
	if !a.Gone {
		to = append(to, "device/"+string(a.Dispute.Device))
		if a.Phone != "" {
			to = append(to, "capture/"+string(a.Phone))
		}
	}
	for _, l := range a.Dispute.Links {
		was := b.Dispute.Link(l.ID)
		ended := l.RevokedAt > 0 && l.RedeemedAt > 0 && (was == nil || was.RevokedAt == 0) // told once, then nothing more
		if l.State == dispute.LinkSpent || ended {
			to = append(to, "party/"+string(l.ID))
		}
	}
	add := func(t wire.Type, why string) {
		for _, addr := range to {
			n := coord.Nudge{To: addr, T: t, ID: string(a.Dispute.ID), Ver: a.Dispute.Ver, Why: why}
			list = append(list, n)
		}
	}
	if a.Dispute.Ver != b.Dispute.Ver {
		add(wire.DisputeState, string(a.Dispute.State))
	}
	if a.Agreement.V != b.Agreement.V || a.Agreement.State != b.Agreement.State {
		add(wire.AgreementState, string(a.Agreement.State))
	}
	if a.Dispute.State == dispute.HandedOff && b.Dispute.State != dispute.HandedOff {
		add(wire.AgreementReceipt, "")
	}
	for _, n := range list {
		s.d.Nudges.Publish(ctx, n)
	}
}

// ofMediator names the dispute of a path for its mediator.
func ofMediator(id string) (DocketRef, error) {
	d, err := named[ident.DisputeID](id, "dispute.none")
	return DocketRef{Dispute: d}, err
}

// byMediator carries out a command of the session's mediator on a dispute and answers with what he sees then.
func (s *Dockets) byMediator(ctx context.Context, by By, id, name, key string, fn func(d *Docket, cmd mediation.Command) error) (DisputeView, error) {
	ref, err := ofMediator(id)
	if err != nil {
		return DisputeView{}, err
	}
	cmd, err := s.command(by, name, key)
	if err != nil {
		return DisputeView{}, err
	}
	d, err := s.change(ctx, cmd, ref, func(d *Docket) error {
		if d.Session.Mediator != by.Staff || by.Staff == "" {
			return noDispute()
		}
		return fn(d, cmd)
	})
	if err != nil {
		return DisputeView{}, err
	}
	return s.staffView(&d)
}

// mine names the dispute of a party's request: of his link, or of who is at the terminal now.
func mine(by By) DocketRef {
	if by.Link != "" {
		return DocketRef{Link: by.Link}
	}
	return DocketRef{Device: by.Device}
}

// me returns the party that a caller acts for.
//
// Errors: fault.NotFound "dispute.none".
func (d *Docket) me(by By) (*dispute.Party, error) {
	var p *dispute.Party
	if by.Link != "" {
		if l := d.Dispute.Link(by.Link); l != nil && l.RedeemedAt > 0 && l.RevokedAt == 0 {
			p = d.Dispute.Party(l.Party)
		}
	} else if by.Device != "" && d.Dispute.Device == by.Device && !d.Gone {
		p = d.Dispute.AtTerminal()
	}
	if p == nil {
		return nil, noDispute()
	}
	return p, nil
}

// byParty carries out a command of a party and answers with what he sees then.
func (s *Dockets) byParty(ctx context.Context, by By, name, key string, fn func(d *Docket, p *dispute.Party, cmd mediation.Command) error) (MyDisputeView, error) {
	cmd, err := s.command(by, name, key)
	if err != nil {
		return MyDisputeView{}, err
	}
	d, err := s.change(ctx, cmd, mine(by), func(d *Docket) error {
		p, err := d.me(by)
		if err != nil {
			return err
		}
		return fn(d, p, cmd)
	})
	if err != nil {
		return MyDisputeView{}, err
	}
	return s.partyView(&d, by)
}

// under reports whether a unit lies in a staff member's subtree.
func (s *Dockets) under(root, unit ident.UnitID) bool {
	return root != "" && s.d.Tree.Under(root, unit)
}

// mayLook checks that a staff member may see a dispute: it is his, or of his subtree.
func (s *Dockets) mayLook(d *Docket, by By) error {
	if by.Staff != "" && (d.Session.Mediator == by.Staff || s.under(by.Unit, d.Dispute.Unit)) {
		return nil
	}
	return noDispute()
}

// Wake makes the Finisher look at once.
func (s *Dockets) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// presence tells how a party is there now.
func (d *Docket) presence(p *dispute.Party) dispute.Presence {
	m := d.Session.Participant(p.Participant)
	if m == nil || p.Participant == "" {
		return dispute.Presence{}
	}
	return dispute.Presence{Here: len(m.Live) > 0, Heard: m.Heard()}
}

// committee is the unit that mediates: the mediator's own, or the nearest above it that draws numbers. Numbers are
// unique by the abbreviations on the way down to it, "赤红西".
func (s *Dockets) committee(of ident.UnitID) (id ident.UnitID, abbr string) {
	for _, u := range s.d.Tree.Path(of) {
		if u.Abbr != "" {
			id, abbr = u.ID, abbr+u.Abbr
		}
	}
	return id, abbr
}

// committeeName is how a committee stands on papers and screens.
func (s *Dockets) committeeName(id ident.UnitID) string {
	u, _ := s.d.Tree.Get(id)
	if u.Name == "" {
		return ""
	}
	return u.Name + "人民调解委员会"
}
