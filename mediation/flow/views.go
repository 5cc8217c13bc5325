package flow

import (
	"context"
	"slices"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

// Situation is everything that a terminal may show now; its JSON is docs/protocol.md §2.
type Situation struct {
	Ver     int64           `json:"ver"`
	Self    string          `json:"self"` // device, capture
	Device  TerminalView    `json:"device"`
	Service ServiceView     `json:"service"`
	Visit   *VisitView      `json:"visit"`
	Ticket  *TicketView     `json:"ticket"`
	Session *SessionView    `json:"session"`
	Capture CaptureView     `json:"capture"`
	Rating  *RatingWantView `json:"rating"`
	Dispute *DisputeRefView `json:"dispute"`
}

// DisputeRefView names the open dispute of a terminal's session, or the last one of its visit.
type DisputeRefView struct {
	ID  ident.DisputeID `json:"id"`
	Ver int64           `json:"ver"`
}

// TerminalView names a terminal.
type TerminalView struct {
	ID    ident.DeviceID `json:"id"`
	Name  string         `json:"name"`
	Kind  string         `json:"kind"`
	Place []string       `json:"place"` // city, county, township, village
}

// ServiceView says how busy the service is for a consult from here.
type ServiceView struct {
	Open  bool `json:"open"`
	Seats int  `json:"seats"`
	Busy  int  `json:"busy"`
	LoMin *int `json:"lo_min"`
	HiMin *int `json:"hi_min"`
}

// VisitView is the open visit.
type VisitView struct {
	ID       ident.VisitID `json:"id"`
	How      string        `json:"how"`
	OpenedAt int64         `json:"opened_at"`
}

// MediatorView is what a citizen knows of the person at the desk.
type MediatorView struct {
	Name  string           `json:"name"`
	Title string           `json:"title"`
	Langs []mediation.Lang `json:"langs"`
}

// TicketView is a ticket as its holder sees it. An offer is not shown: one that lapses must not look like a step back.
type TicketView struct {
	ID       ident.TicketID       `json:"id"`
	Ver      int64                `json:"ver"`
	No       string               `json:"no"`
	Kind     mediation.TicketKind `json:"kind"`
	Category mediation.Category   `json:"category"`
	Lang     mediation.Lang       `json:"lang"`
	State    queue.State          `json:"state"`
	Ahead    int                  `json:"ahead"`
	Passed   bool                 `json:"passed"`
	LoMin    *int                 `json:"lo_min"`
	HiMin    *int                 `json:"hi_min"`
	Ring     *RingView            `json:"ring"`
	UntilAt  *int64               `json:"until_at"` // end of missed or parked
	Outcome  string               `json:"outcome"`
}

// RingView is a ring that waits for an answer.
type RingView struct {
	UntilAt   int64           `json:"until_at"`
	Mediator  MediatorView    `json:"mediator"`
	SessionID ident.SessionID `json:"session_id"`
}

// SessionView is the session of a citizen.
type SessionView struct {
	ID               ident.SessionID     `json:"id"`
	Ver              int64               `json:"ver"`
	Kind             session.Kind        `json:"kind"`
	State            session.State       `json:"state"`
	RoomID           ident.RoomID        `json:"room_id"`
	ParticipantID    ident.ParticipantID `json:"participant_id"`
	Epoch            int64               `json:"epoch"`
	Fence            int64               `json:"fence"` // placement of the room: a client under an older one enters anew
	Mediator         MediatorView        `json:"mediator"`
	SuspendedUntilAt *int64              `json:"suspended_until_at"`
	Answer           string              `json:"answer"` // the short written answer, empty while there is none
}

// CaptureView says whether a phone is the terminal's camera.
type CaptureView struct {
	Paired bool `json:"paired"`
	Live   bool `json:"live"` // its media line is up
}

// RatingWantView asks for the rating of a session that ended in this visit.
type RatingWantView struct {
	SessionID ident.SessionID `json:"session_id"`
	Mediator  string          `json:"mediator"`
}

// Facts are the rows behind a Situation.
type Facts struct {
	Ver      int64
	Device   TerminalView
	Path     []ident.UnitID // from the terminal's unit up to the city
	Visit    *VisitView
	Ticket   *queue.Ticket    // the open one of who sits there
	Session  *session.Session // of the ticket
	Mediator MediatorView     // of the session
	Answer   string           // of the session's note
	Paired   bool
	Rating   *RatingWantView
	Dispute  *DisputeRefView
}

// DeskView is everything that a mediator's desk shows; its JSON is docs/protocol.md §3.
type DeskView struct {
	Seat    SeatView         `json:"seat"`
	Offer   *OfferView       `json:"offer"`
	Session *DeskSessionView `json:"session"`
	WrapUp  *WrapUpView      `json:"wrap_up"`
	Queue   []DigestView     `json:"queue"`
	Waiting int              `json:"waiting"`
	Today   TodayView        `json:"today"`
	NowAt   int64            `json:"now_at"`
}

// SeatView is a seat.
type SeatView struct {
	State   queue.SeatState `json:"state"`
	Reason  string          `json:"reason"`
	Strikes int             `json:"strikes"`
	Ver     int64           `json:"ver"`
	UntilAt *int64          `json:"until_at"`
}

// OfferView is an offer that waits for the desk's answer.
type OfferView struct {
	ID      ident.OfferID `json:"id"`
	Ver     int64         `json:"ver"`
	UntilAt int64         `json:"until_at"`
	LeaseMS int64         `json:"lease_ms"`
	Ticket  DigestView    `json:"ticket"`
}

// DeskSessionView is the session of a mediator.
type DeskSessionView struct {
	ID            ident.SessionID     `json:"id"`
	Ver           int64               `json:"ver"`
	Kind          session.Kind        `json:"kind"`
	State         session.State       `json:"state"`
	RoomID        ident.RoomID        `json:"room_id"`
	ParticipantID ident.ParticipantID `json:"participant_id"`
	Epoch         int64               `json:"epoch"`
	Fence         int64               `json:"fence"`
	StartedAt     int64               `json:"started_at"`
	Ticket        DigestView          `json:"ticket"`
	UntilAt       *int64              `json:"until_at"` // end of the ring or of the suspension
	Left          bool                `json:"left"`     // the citizen is gone for good: nobody to wait for
	Members       []MemberView        `json:"members"`
	Note          session.Note        `json:"note"`
	DisputeID     *ident.DisputeID    `json:"dispute_id"`
}

// MemberView is one person in a session.
type MemberView struct {
	Participant ident.ParticipantID `json:"participant"`
	Name        string              `json:"name"`
	Role        string              `json:"role"`
	Attach      []string            `json:"attach"` // live ones
	Present     bool                `json:"present"`
}

// WrapUpView is the time for the form after a session.
type WrapUpView struct {
	SessionID ident.SessionID `json:"session_id"`
	UntilAt   int64           `json:"until_at"`
	Note      session.Note    `json:"note"`
	Ticket    DigestView      `json:"ticket"`
}

// TodayView counts a seat's day.
type TodayView struct {
	Served int `json:"served"`
}

// DigestView is a ticket as staff see it.
type DigestView struct {
	ID       ident.TicketID       `json:"id"`
	No       string               `json:"no"`
	Kind     mediation.TicketKind `json:"kind"`
	Category mediation.Category   `json:"category"`
	Lang     mediation.Lang       `json:"lang"`
	Class    queue.Class          `json:"class"`
	Place    []string             `json:"place"`
	Terminal string               `json:"terminal"`
	WaitedS  int64                `json:"waited_s"`
	State    queue.State          `json:"state"`
	Capture  bool                 `json:"capture"` // a phone is its camera
}

// Digest is a ticket with what lists show beside it.
type Digest struct {
	queue.Ticket
	Capture bool
}

// DeskFacts are the rows behind a DeskView.
type DeskFacts struct {
	Seat    queue.Seat // offline when it was never on duty
	Offer   queue.Offer
	Ticket  Digest // offered or held
	Session *session.Session
	Note    session.Note
	Dispute ident.DisputeID // newest of the session, empty when none
	Self    queue.Server    // roles, languages and categories of the seat
	Line    []Digest        // waiting in the subtree, in order
	Barred  []ident.TicketID
	Waiting int
	Served  int
}

// SessionRow is one live session on the console.
type SessionRow struct {
	ID        ident.SessionID    `json:"id"`
	Kind      session.Kind       `json:"kind"`
	State     session.State      `json:"state"`
	No        string             `json:"no"`
	Category  mediation.Category `json:"category"`
	Place     []string           `json:"place"`
	Mediator  string             `json:"mediator"`
	StartedAt int64              `json:"started_at"`
}

// Overview is the queue's part of the console's numbers, over one subtree.
type Overview struct {
	Tickets struct {
		Waiting int `json:"waiting"`
		Ringing int `json:"ringing"`
		Serving int `json:"serving"`
	} `json:"tickets"`
	Seats struct {
		Ready int `json:"ready"`
		Busy  int `json:"busy"`
		Away  int `json:"away"`
	} `json:"seats"`
	Sessions struct {
		Live int `json:"live"`
	} `json:"sessions"`
	Rated struct {
		Count int     `json:"count"`
		Avg   float64 `json:"avg"`
	} `json:"rated"`
	Today struct {
		Met    int `json:"met"`    // talks that began
		Missed int `json:"missed"` // people who waited and met nobody
		WaitMS struct {
			P50 int64 `json:"p50"`
			P95 int64 `json:"p95"`
		} `json:"wait_ms"` // from drawing the number to the talk
	} `json:"today"`
}

// ViewStore reads what screens show.
type ViewStore interface {
	// SituationFacts reads a terminal's facts. Errors: fault.NotFound "device.not_found".
	SituationFacts(ctx context.Context, device ident.DeviceID) (Facts, error)
	// OpenAt lists what is open at a terminal, each with the version of its situation; nothing else is read, because
	// every connect of a device asks for it. Errors: fault.NotFound "device.not_found".
	OpenAt(ctx context.Context, device ident.DeviceID) ([]OpenItem, error)
	// DeskFacts reads a desk's facts; served counts from since on. Errors: fault.NotFound "staff.not_found".
	DeskFacts(ctx context.Context, staff ident.StaffID, since int64) (DeskFacts, error)
	// QueueRows lists the open tickets of a subtree in order.
	QueueRows(ctx context.Context, unit ident.UnitID, limit int) ([]Digest, error)
	// SessionRows lists the live sessions of a subtree.
	SessionRows(ctx context.Context, unit ident.UnitID, limit int) ([]SessionRow, error)
	// QueueOverview counts a subtree; ratings from since on.
	QueueOverview(ctx context.Context, unit ident.UnitID, since int64) (Overview, error)
}

// Services tells how busy the service is.
type Services interface {
	Service(ctx context.Context, path []ident.UnitID, kind mediation.TicketKind) (queue.Service, error)
}

// Views builds what screens show.
type Views struct {
	Store   ViewStore
	Service Services
	Now     func() time.Time
	TZ      *time.Location // of "today"
	Lease   time.Duration  // of an offer
}

// Situation builds what a terminal, or with self "capture" its phone, may show.
//
// Errors: fault.NotFound "device.not_found".
func (v *Views) Situation(ctx context.Context, device ident.DeviceID, self mediation.ActorKind) (Situation, error) {
	f, err := v.Store.SituationFacts(ctx, device)
	if err != nil {
		return Situation{}, err
	}
	s := Situation{Ver: f.Ver, Self: string(self), Device: f.Device, Visit: f.Visit, Rating: f.Rating, Dispute: f.Dispute, Capture: CaptureView{Paired: f.Paired}}
	svc, err := v.Service.Service(ctx, f.Path, mediation.Consult)
	if err != nil {
		return Situation{}, err
	}
	s.Service = ServiceView{Open: svc.Open, Seats: svc.Seats, Busy: svc.Busy}
	s.Service.LoMin, s.Service.HiMin = minutes(svc.Range.Lo, svc.Range.Hi)
	if f.Ticket != nil {
		t := NewTicketView(*f.Ticket)
		if f.Ticket.State == queue.Ringing {
			t.Ring = &RingView{UntilAt: f.Ticket.DueAt, Mediator: f.Mediator, SessionID: f.Ticket.Session}
		}
		s.Ticket = &t
	}
	if k := f.Session; k != nil {
		view := SessionView{ID: k.ID, Ver: k.Ver, Kind: k.Kind, State: k.State, RoomID: k.Room, Epoch: k.Epoch, Fence: k.Fence, Mediator: f.Mediator, Answer: f.Answer}
		if k.State == session.Suspended {
			view.SuspendedUntilAt = instant(k.DueAt)
		}
		if p := k.Party(); p != nil {
			view.ParticipantID = p.ID
			s.Capture.Live = f.Paired && k.PhoneLive()
		}
		s.Session = &view
	}
	return s, nil
}

// NewTicketView is a ticket as its holder sees it, without the ring.
func NewTicketView(k queue.Ticket) TicketView {
	t := TicketView{
		ID: k.ID, Ver: k.Ver, No: k.No, Kind: k.Kind, Category: k.Category, Lang: k.Lang, State: k.State,
		Ahead: k.Shown, Passed: k.Passed, Outcome: k.Outcome,
	}
	t.LoMin, t.HiMin = minutes(k.Lo, k.Hi)
	switch k.State {
	case queue.Offered:
		t.State = queue.Waiting
	case queue.Missed, queue.Parked:
		t.UntilAt = instant(k.DueAt)
	default:
	}
	return t
}

// Desk builds what a mediator's desk shows.
//
// Errors: fault.NotFound "staff.not_found".
func (v *Views) Desk(ctx context.Context, staff ident.StaffID) (DeskView, error) {
	now := v.Now()
	f, err := v.Store.DeskFacts(ctx, staff, v.midnight(now))
	if err != nil {
		return DeskView{}, err
	}
	at := now.UnixMicro()
	d := DeskView{
		Seat:  SeatView{State: f.Seat.State, Reason: f.Seat.Reason, Strikes: f.Seat.Strikes, Ver: f.Seat.Ver},
		Queue: []DigestView{}, Waiting: f.Waiting, Today: TodayView{Served: f.Served}, NowAt: at,
	}
	ticket := f.Ticket.view(at)
	if f.Offer.Open() {
		d.Offer = &OfferView{ID: f.Offer.ID, Ver: f.Offer.Ver, UntilAt: f.Offer.DueAt, LeaseMS: v.Lease.Milliseconds(), Ticket: ticket}
	}
	if k := f.Session; k != nil {
		switch f.Ticket.State {
		case queue.WrapUp:
			d.WrapUp = &WrapUpView{SessionID: k.ID, UntilAt: f.Ticket.DueAt, Note: f.Note, Ticket: ticket}
			d.Seat.UntilAt = instant(f.Ticket.DueAt)
		case queue.Ringing, queue.Serving:
			d.Session = deskSession(k, f, ticket)
		default:
		}
	}
	for i := range f.Line {
		k := &f.Line[i]
		if len(d.Queue) < deskQueue && f.Self.May(k.Kind, k.Category, k.Lang) && slices.Contains(k.Path, f.Self.Unit) && !slices.Contains(f.Barred, k.ID) {
			d.Queue = append(d.Queue, k.view(at))
		}
	}
	return d, nil
}

// deskQueue is how many waiting tickets a desk lists.
const deskQueue = 50

func deskSession(k *session.Session, f DeskFacts, ticket DigestView) *DeskSessionView {
	view := &DeskSessionView{
		ID: k.ID, Ver: k.Ver, Kind: k.Kind, State: k.State, RoomID: k.Room, Epoch: k.Epoch, Fence: k.Fence, StartedAt: k.StartedAt, Ticket: ticket, Note: f.Note, Left: k.Party() == nil,
		Members: []MemberView{},
	}
	switch {
	case f.Ticket.State == queue.Ringing:
		view.UntilAt = instant(f.Ticket.DueAt)
	case k.State == session.Suspended:
		view.UntilAt = instant(k.DueAt)
	}
	if p := k.Presider(); p != nil {
		view.ParticipantID = p.ID
	}
	if f.Dispute != "" {
		view.DisputeID = &f.Dispute
	}
	for _, m := range k.Members {
		if m.Zone == "" {
			continue
		}
		row := MemberView{Participant: m.ID, Name: m.Name, Role: string(m.Role), Attach: []string{}, Present: len(m.Live) > 0}
		for _, a := range m.Live {
			row.Attach = append(row.Attach, string(a))
		}
		view.Members = append(view.Members, row)
	}
	return view
}

// Queue lists the open tickets of a subtree.
func (v *Views) Queue(ctx context.Context, unit ident.UnitID) ([]DigestView, error) {
	list, err := v.Store.QueueRows(ctx, unit, consoleRows)
	out := make([]DigestView, 0, len(list))
	at := v.Now().UnixMicro()
	for i := range list {
		out = append(out, list[i].view(at))
	}
	return out, err
}

// Sessions lists the live sessions of a subtree.
func (v *Views) Sessions(ctx context.Context, unit ident.UnitID) ([]SessionRow, error) {
	list, err := v.Store.SessionRows(ctx, unit, consoleRows)
	if list == nil {
		list = []SessionRow{}
	}
	return list, err
}

// Overview counts a subtree; ratings are today's.
func (v *Views) Overview(ctx context.Context, unit ident.UnitID) (Overview, error) {
	return v.Store.QueueOverview(ctx, unit, v.midnight(v.Now()))
}

// consoleRows bounds the console's lists.
const consoleRows = 200

func (v *Views) midnight(now time.Time) int64 {
	tz := v.TZ
	if tz == nil {
		tz = time.UTC
	}
	y, m, d := now.In(tz).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, tz).UnixMicro()
}

func (k *Digest) view(now int64) DigestView {
	place := k.Place
	if place == nil {
		place = []string{}
	}
	return DigestView{
		ID: k.ID, No: k.No, Kind: k.Kind, Category: k.Category, Lang: k.Lang, Class: k.Class, Place: place, Terminal: k.Terminal,
		WaitedS: max(0, (now-k.EnqueuedAt)/1e6), State: k.State, Capture: k.Capture,
	}
}

func minutes(lo, hi int) (a, b *int) {
	if lo < 0 || hi < 0 {
		return nil, nil
	}
	return &lo, &hi
}

func instant(at int64) *int64 {
	if at == 0 {
		return nil
	}
	return &at
}

// OpenItem names one open thing of a caller and its version, for the sync after a welcome.
type OpenItem struct {
	Type string // visit, ticket, session, offer, seat
	ID   string
	Ver  int64
}

// OpenAt lists what is open at a desk.
func (d *DeskView) OpenAt(staff ident.StaffID) []OpenItem {
	list := []OpenItem{{"seat", string(staff), d.Seat.Ver}}
	if d.Offer != nil {
		list = append(list, OpenItem{"offer", string(d.Offer.ID), d.Offer.Ver})
	}
	if d.Session != nil {
		list = append(list, OpenItem{"session", string(d.Session.ID), d.Session.Ver})
	}
	return list
}

// Own finds a ticket of a terminal for an answer to a command; ring is filled when it rings.
//
// Errors: fault.NotFound "queue.no_ticket".
func (v *Views) Own(ctx context.Context, device ident.DeviceID, k queue.Ticket) (TicketView, error) {
	if k.Device != device {
		return TicketView{}, fault.New(fault.NotFound, "queue.no_ticket")
	}
	if k.State != queue.Ringing {
		return NewTicketView(k), nil
	}
	s, err := v.Situation(ctx, device, mediation.ActorDevice)
	if err != nil || s.Ticket == nil {
		return NewTicketView(k), err
	}
	return *s.Ticket, nil
}
