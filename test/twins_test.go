package test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

// ask sends a request on a link and reads on to its answer; what is pushed meanwhile is passed over.
func (l *link) ask(id uint64, t wire.Type, body any) wire.Frame {
	l.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	data, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: t, ID: id, B: b})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(websocket.TextMessage, data)
	for {
		f, code := l.read()
		if code != 0 {
			l.t.Fatalf("%s: closed with %d", t, code)
		}
		if f.Re == id {
			if f.T != t {
				l.t.Errorf("%s is answered by %s", t, f.T)
			}
			return f
		}
	}
}

// twin demands that a frame and a REST answer say the same, in the fields of the JSON or in the code of the refusal.
func twin(t *testing.T, f wire.Frame, a answer) {
	t.Helper()
	if f.Err != nil {
		var p struct{ Code, Field, Ref string }
		a.into(t, &p)
		if p.Code != f.Err.Reason || p.Field != f.Err.Field || p.Ref != f.Err.Ref {
			t.Errorf("the link refuses with %+v, REST with %s", f.Err, a.body)
		}
		return
	}
	var onLink, onREST any
	if err := json.Unmarshal(f.B, &onLink); err != nil {
		t.Fatalf("%s: %v", f.B, err)
	}
	a.into(t, &onREST)
	if !reflect.DeepEqual(onLink, onREST) {
		t.Errorf("the link answers %s\nREST answers %s", f.B, a.body)
	}
}

func refused(t *testing.T, f wire.Frame, code int, reason string) {
	t.Helper()
	if f.Err == nil || f.Err.Code != code || f.Err.Reason != reason {
		t.Errorf("%s: %s %+v, want %d %s", f.T, f.B, f.Err, code, reason)
	}
}

func granted(t *testing.T, f wire.Frame, body any) {
	t.Helper()
	if f.Err != nil {
		t.Fatalf("%s is refused: %+v", f.T, f.Err)
	}
	if err := f.Body(body); err != nil {
		t.Fatal(err)
	}
}

// sits asks for work, again while the service has not noted the desk's new line yet, as the desk does.
func (l *link) sits(id uint64) wire.Frame {
	l.t.Helper()
	for end := time.Now().Add(patience); ; {
		f := l.ask(id, wire.SeatSet, wire.SeatSetBody{State: "ready"})
		if f.Err == nil || f.Err.Reason != "seat.no_link" || time.Now().After(end) {
			return f
		}
		id += 1000
	}
}

// mediator is a signed-in person with a desk.
type mediator struct {
	n      *node
	header http.Header
}

func (n *node) signIn(login string) *mediator {
	n.t.Helper()
	for _, s := range n.demo().Staff {
		if s.Login != login {
			continue
		}
		a := n.call(http.MethodPost, n.url+"/api/v1/staff/login", nil, map[string]string{"login": s.Login, "password": s.Password})
		var me struct{ CSRF string }
		a.into(n.t, &me)
		cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
		return &mediator{n: n, header: http.Header{"Cookie": {cookie}, "X-Csrf-Token": {me.CSRF}}}
	}
	n.t.Fatalf("the demo has no %s", login)
	return nil
}

func (m *mediator) do(method, path string, body any) answer {
	m.n.t.Helper()
	return m.n.call(method, m.n.url+"/api/v1"+path, m.header, body)
}

// connect brings the link of the person's desk up.
func (m *mediator) connect() *link {
	m.n.t.Helper()
	var token struct{ Token string }
	m.do(http.MethodPost, "/staff/link-tokens", map[string]string{"screen": "desk", "instance": "one"}).into(m.n.t, &token)
	l, _ := m.n.dial()
	b, err := json.Marshal(wire.ConnectBody{Auth: wire.AuthBody{Kind: "session", Token: token.Token, Screen: "desk", Instance: "one"}})
	if err != nil {
		m.n.t.Fatal(err)
	}
	data, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: wire.Connect, B: b})
	if err != nil {
		m.n.t.Fatal(err)
	}
	l.write(websocket.TextMessage, data)
	l.expect(wire.Welcome, nil)
	return l
}

// Every request of a person over the link is the twin of one over REST.
func TestRequestsOnTheLinkAreTwinsOfREST(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	d := n.claim()
	tv := d.connect()
	lawyer := n.signIn("lvshi")
	desk := lawyer.connect()

	// the visit
	ticket := wire.TicketCreateBody{Key: key(), Kind: "consult", Category: "wages", Lang: "zh"}
	refused(t, tv.ask(1, wire.TicketCreate, ticket), wire.NumForbidden, "visit.required")
	opening := wire.VisitOpenBody{Key: key(), How: "anonymous"}
	opened := tv.ask(2, wire.VisitOpen, opening)
	var visit struct{ ID string }
	granted(t, opened, &visit)
	twin(t, opened, d.do(http.MethodPost, "/visits", opening))

	// the ticket: a repeat of the key over either door answers the same, another key is in the way
	drawn := tv.ask(3, wire.TicketCreate, ticket)
	var k struct{ ID, State string }
	granted(t, drawn, &k)
	if again := tv.ask(4, wire.TicketCreate, ticket); string(again.B) != string(drawn.B) {
		t.Errorf("a repeat answers %s, the first %s", again.B, drawn.B)
	}
	twin(t, drawn, d.do(http.MethodPost, "/tickets", ticket))
	ticket.Key = key()
	busy := tv.ask(5, wire.TicketCreate, ticket)
	refused(t, busy, wire.NumConflict, "queue.already_waiting")
	twin(t, busy, d.do(http.MethodPost, "/tickets", ticket))
	bad := tv.ask(6, wire.TicketCreate, wire.TicketCreateBody{Key: "one", Kind: "consult", Category: "wages", Lang: "zh"})
	refused(t, bad, wire.NumBadRequest, "request.bad_key")
	giveUp := wire.TicketCancelBody{TicketID: k.ID, Key: key()}
	gone := tv.ask(7, wire.TicketCancel, giveUp)
	if granted(t, gone, &k); k.State != "cancelled" {
		t.Errorf("the ticket is %s", gone.B)
	}
	twin(t, gone, d.do(http.MethodPost, "/tickets/"+k.ID+"/cancel", map[string]string{"key": giveUp.Key}))
	refused(t, tv.ask(8, wire.TicketCancel, wire.TicketCancelBody{TicketID: "x", Key: key()}), wire.NumNotFound, "queue.no_ticket")

	// who may ask
	refused(t, tv.ask(9, wire.SeatSet, wire.SeatSetBody{State: "ready"}), wire.NumUnauthenticated, "auth.required")
	refused(t, desk.ask(1, wire.TicketCreate, ticket), wire.NumUnauthenticated, "auth.required")
	refused(t, n.signIn("yunwei").connect().ask(1, wire.SeatSet, wire.SeatSetBody{State: "ready"}), wire.NumForbidden, "auth.role")

	// the seat; an offer that is declined
	var seat struct{ State string }
	ready := desk.sits(2)
	if granted(t, ready, &seat); seat.State != "ready" {
		t.Errorf("the seat is %s", ready.B)
	}
	refused(t, desk.ask(3, wire.SeatSet, wire.SeatSetBody{State: "asleep"}), wire.NumBadRequest, "seat.bad_state")
	granted(t, tv.ask(10, wire.TicketCreate, ticket), &k)
	o := lawyer.offer()
	refused(t, desk.ask(4, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver + 1}), wire.NumStale, "offer.stale")
	refused(t, desk.ask(5, wire.OfferDecline, wire.OfferDeclineBody{OfferID: o.ID, Ver: o.Ver, Reason: "rain"}), wire.NumBadRequest, "offer.bad_reason")
	var view struct {
		Offer   *struct{ ID string }
		Session *struct{ ID, State string }
		Seat    struct{ State string }
		WrapUp  *struct{} `json:"wrap_up"`
	}
	if granted(t, desk.ask(6, wire.OfferDecline, wire.OfferDeclineBody{OfferID: o.ID, Ver: o.Ver, Reason: "other"}), &view); view.Offer != nil {
		t.Error("a declined offer stays on the desk")
	}

	// another one is accepted, rings, is taken
	granted(t, tv.ask(11, wire.TicketCancel, wire.TicketCancelBody{TicketID: k.ID, Key: key()}), &k)
	ticket.Key = key()
	granted(t, tv.ask(12, wire.TicketCreate, ticket), &k)
	o = lawyer.offer()
	if granted(t, desk.ask(7, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &view); view.Session == nil || view.Seat.State != "busy" {
		t.Fatalf("the desk shows %+v", view)
	}
	meeting := view.Session.ID
	if granted(t, tv.ask(13, wire.TicketAnswer, wire.TicketAnswerBody{TicketID: k.ID, Key: key(), Take: true}), &k); k.State != "serving" {
		t.Errorf("the ticket is %s", k.State)
	}
	refused(t, desk.ask(8, wire.RoomControl, wire.RoomControlBody{SessionID: meeting, Key: key(), Op: "dance"}), wire.NumBadRequest, "session.bad_op")
	refused(t, desk.ask(9, wire.RoomControl, wire.RoomControlBody{SessionID: meeting, Key: key(), Op: "mute"}), wire.NumBadRequest, "session.bad_kind")
	left := tv.ask(14, wire.RoomLeave, wire.RoomLeaveBody{SessionID: meeting, Key: key()})
	if granted(t, left, &struct{}{}); string(left.B) != "{}" {
		t.Errorf("leaving answers %s", left.B)
	}
	if granted(t, desk.ask(10, wire.RoomControl, wire.RoomControlBody{SessionID: meeting, Key: key(), Op: "end"}), &view); view.WrapUp == nil {
		t.Errorf("after the end the desk shows %+v", view)
	}
	granted(t, tv.ask(15, wire.VisitClose, wire.VisitCloseBody{VisitID: visit.ID, Why: "left"}), &struct{}{})
	refused(t, tv.ask(16, wire.VisitClose, wire.VisitCloseBody{VisitID: visit.ID, Why: "bored"}), wire.NumBadRequest, "visit.bad_why")
	var s struct{ Visit *struct{} }
	d.do(http.MethodGet, "/situation", nil).into(t, &s)
	if s.Visit != nil {
		t.Error("the visit is open")
	}
}

type offer struct {
	ID  string
	Ver int64
}

// offer waits for an offer on the desk.
func (m *mediator) offer() offer {
	m.n.t.Helper()
	var d struct{ Offer *offer }
	m.n.until("an offer", func() bool {
		m.do(http.MethodGet, "/desk", nil).into(m.n.t, &d)
		return d.Offer != nil
	})
	return *d.Offer
}
