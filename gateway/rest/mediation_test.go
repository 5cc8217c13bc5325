package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"heyi/gateway/auth"
	"heyi/gateway/bridge"
	"heyi/gateway/rest"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/people"
	"heyi/store"
)

// applied is an engine that takes every spec; media lines are another test's matter.
type applied struct{}

func (applied) Apply(_ context.Context, s media.RoomSpec) (media.Applied, error) {
	return media.Applied{Epoch: s.Epoch}, nil
}
func (applied) Close(context.Context, ident.RoomID, int64, media.Reason) error { return nil }
func (applied) Gates(ident.RoomID) []media.Edge                                { return nil }
func (applied) Leave(context.Context, ident.RoomID, string) error              { return nil }
func (applied) Freeze(bool)                                                    {}
func (applied) Load() (rooms, sessions int)                                    { return 0, 0 }
func (applied) Open(context.Context, media.Ticket, media.Handler) (media.Session, error) {
	return nil, fault.New(fault.Unsupported, "rtc.none")
}

// line is the REST door with the queue and the sessions behind it.
type line struct {
	*house
	doc     *openapi3.T
	desk    *queue.Desk
	matcher *queue.Matcher
	rooms   *session.Executor
	dockets *flow.Dockets
	judge   *client
	staff   ident.StaffID
}

func newLine(t *testing.T) *line {
	t.Helper()
	h := newHouse(t)
	l := &line{house: h}
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := memcoord.New(time.Now)
	hmacKey, err := h.store.Key(ctx, store.KeyHMAC)
	ok(err)
	keys, err := auth.NewKeyring(ctx, func(ctx context.Context, purpose string) ([]auth.Key, error) {
		list, err := h.store.Keys(ctx, purpose)
		var out []auth.Key
		for _, k := range list {
			out = append(out, auth.Key{KID: k.KID, Seed: k.Secret, Public: k.Public, Active: k.Active})
		}
		return out, err
	}, time.Now)
	ok(err)
	staff := people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}}, people.Deps{Store: h.store, Limiter: c, Now: time.Now})
	links := l.links(c)
	door := auth.NewAuthenticator(auth.Deps{
		Keys: keys, Tokens: h.tokens, Epochs: h.store, Signins: staff, Grants: h.store, Links: links, CSRFKey: hmacKey.Secret, Now: time.Now,
	})
	rooms := session.NewExecutor(session.ExecutorDeps{Store: h.store, Engine: applied{}, Nudges: c, Node: "n1", Now: time.Now, Logger: log})
	l.rooms = rooms
	l.dockets = newDockets(t, h, c, rooms, staff)
	l.desk = queue.NewDesk(queue.Deps{Store: h.store, Nudges: c, Node: "n1", Now: time.Now, TZ: time.UTC})
	l.matcher = queue.NewMatcher(queue.MatcherDeps{Store: h.store, Nudges: c, Node: "n1", Now: time.Now, Logger: log})
	f := flow.New(flow.Deps{Store: h.store, Rooms: rooms, Nudges: c, Node: "n1", Logger: log})
	views := &flow.Views{Store: h.store, Service: queue.NewBoard(queue.BoardDeps{Store: h.store, Now: time.Now}), Now: time.Now, TZ: time.UTC, Lease: 15 * time.Second}
	asked := &flow.Requests{Desk: l.desk, Flow: f, Dockets: l.dockets, Views: views, Visits: h.devices.Registry, Now: time.Now}
	captures := session.NewCaptures(session.CapturesDeps{Store: h.store, Limiter: c, Nudges: c, Key: hmacKey.Secret, Now: time.Now})
	h.api = newAPI(t, rest.Deps{Auth: door, Now: time.Now},
		rest.Staff{People: staff, Tokens: h.tokens, CSRF: door.CSRF, Registry: h.devices.Registry, Tree: h.tree, Nudges: c, Demo: true, Now: time.Now},
		rest.Claims{Registry: h.devices.Registry, Tree: h.tree, PublicURL: "https://heyi.test", Poll: 20 * time.Millisecond, Now: time.Now},
		h.devices,
		rest.Console{Registry: h.devices.Registry, History: h.devices.History, Nodes: c, Packages: h.packages, Now: time.Now, Figures: rest.FiguresOf(views)},
		rest.Situation{Views: views},
		rest.Visits{Requests: asked},
		rest.Tickets{Requests: asked},
		rest.Captures{Captures: captures, Tokens: h.tokens, CSRF: door.CSRF, PublicURL: "https://heyi.test", Now: time.Now},
		rest.Desk{Requests: asked},
		rest.Sessions{Requests: asked, Rooms: rooms, Records: &session.Records{Store: h.store, Nudges: c, Now: time.Now}, Tokens: h.tokens, RTCPath: "/ws/rtc", Now: time.Now},
		rest.ConsoleQueue{Views: views},
		rest.Disputes{Dockets: l.dockets},
		rest.Party{Dockets: l.dockets},
		rest.Links{Links: links, Tokens: h.tokens, CSRF: door.CSRF, Now: time.Now},
		rest.Texts{Demo: true, Auth: door, Sent: l.sent},
		rest.Verify{Check: checkNothing, Keys: h.store.SealKeys, Limiter: c},
	)
	server := httptest.NewServer(bridge.New(h.api.App, bridge.Config{Limit: h.api.BodyLimit}))
	t.Cleanup(server.Close)
	h.url = server.URL + rest.Prefix
	l.doc, err = openapi3.NewLoader().LoadFromData(h.api.Spec)
	ok(err)
	l.judge = h.signIn("bing")
	var me struct {
		Staff struct {
			ID ident.StaffID `json:"id"`
		} `json:"staff"`
	}
	l.judge.want(200, "", "GET", "/staff/me", nil, &me)
	l.staff = me.Staff.ID
	ok(l.desk.SeatLink(ctx, l.staff, true))
	return l
}

// ask calls an operation and demands that the answer is what openapi says of it.
func (l *line) ask(c *client, method, pattern, id string, body any, status int) map[string]any {
	l.t.Helper()
	path := strings.Replace(pattern, "{id}", id, 1)
	var out any
	got, code := c.call(method, path, body, &out)
	if got != status {
		l.t.Fatalf("%s %s: %d %q, want %d", method, path, got, code, status)
	}
	answer := l.doc.Paths.Value(pattern).GetOperation(method).Responses.Status(status)
	if answer == nil {
		l.t.Fatalf("%s %s: %d is not documented", method, pattern, status)
	}
	if err := answer.Value.Content["application/json"].Schema.Value.VisitJSON(out); err != nil {
		l.t.Errorf("%s %s: %v", method, pattern, err)
	}
	fields, _ := out.(map[string]any)
	return fields
}

func in(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func text(v any, keys ...string) string { return fmt.Sprint(in(v, keys...)) }

func key() string { return ident.New[string]() }

func TestFaceToFaceOverREST(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	box := l.enrol("SN-1")
	box.connect()
	post := func(c *client, pattern, id string, body map[string]any, status int) map[string]any {
		t.Helper()
		return l.ask(c, "POST", pattern, id, body, status)
	}
	ticket := map[string]any{"key": key(), "kind": "mediate", "category": "wages", "lang": "zh"}
	box.link.want(403, "visit.required", "POST", "/tickets", ticket, nil)
	box.link.want(200, "", "POST", "/visits", map[string]any{"key": key(), "how": "anonymous"}, nil)
	if s := l.ask(box.link, "GET", "/situation", "", nil, 200); in(s, "ticket") != nil || text(s, "self") != "device" {
		t.Errorf("%v", s)
	}
	ticket["colour"] = "red"
	box.link.want(422, "request.unknown_field", "POST", "/tickets", ticket, nil)
	delete(ticket, "colour")
	box.link.want(422, "request.bad_key", "POST", "/tickets", map[string]any{"key": "x", "kind": "mediate", "category": "wages", "lang": "zh"}, nil)
	box.link.want(422, "ticket.bad_category", "POST", "/tickets", map[string]any{"key": key(), "kind": "mediate", "category": "x", "lang": "zh"}, nil)
	k := post(box.link, "/tickets", "", ticket, 201)
	if again := post(box.link, "/tickets", "", ticket, 201); text(again, "id") != text(k, "id") {
		t.Errorf("a repeat answers %v", again)
	}
	id := text(k, "id")
	box.link.want(409, "queue.already_waiting", "POST", "/tickets", map[string]any{"key": key(), "kind": "consult", "category": "wages", "lang": "zh"}, nil)

	// the phone
	offer := post(box.link, "/captures", "", map[string]any{"key": key()}, 201)
	token, found := strings.CutPrefix(text(offer, "url"), "https://heyi.test/c/")
	if !found || !strings.HasPrefix(text(offer, "qr_svg"), "<svg") || strings.Contains(text(offer, "qr_svg"), token) {
		t.Errorf("%v", offer)
	}
	phone := l.anyone()
	post(phone, "/captures/peek", "", map[string]any{"code": strings.ToLower(text(offer, "code"))}, 200)
	grant := post(phone, "/captures/redeem", "", map[string]any{"token": token}, 201)
	phone.want(409, "capture.spent", "POST", "/captures/redeem", map[string]any{"token": token}, nil)
	phone.want(403, "auth.csrf", "POST", "/captures/mine/drop", map[string]any{}, nil)
	phone.header.Set(rest.CSRFHeader, text(grant, "csrf"))
	if mine := l.ask(phone, "GET", "/captures/mine", "", nil, 200); text(mine, "csrf") != text(grant, "csrf") {
		t.Errorf("%v", mine)
	}
	post(phone, "/captures/mine/link-tokens", "", map[string]any{"instance": "p1"}, 200)

	// the desk
	judge := l.judge
	judge.want(422, "seat.bad_state", "POST", "/seat", map[string]any{"state": "busy"}, nil)
	if seat := post(judge, "/seat", "", map[string]any{"state": "ready"}, 200); text(seat, "state") != "ready" {
		t.Errorf("%v", seat)
	}
	if err := l.matcher.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	desk := l.ask(judge, "GET", "/desk", "", nil, 200)
	if in(desk, "offer", "ticket", "capture") != true {
		t.Fatalf("%v", desk)
	}
	offerID := text(desk, "offer", "id")
	judge.want(412, "offer.stale", "POST", "/offers/"+offerID+"/accept", map[string]any{"ver": 9}, nil)
	judge.want(404, "offer.none", "POST", "/offers/nonsense/accept", map[string]any{"ver": 1}, nil)
	desk = post(judge, "/offers/{id}/accept", offerID, map[string]any{"ver": 1}, 200)
	sessionID := text(desk, "session", "id")

	if s := l.ask(phone, "GET", "/situation", "", nil, 200); text(s, "ticket", "state") != "ringing" || text(s, "self") != "capture" || in(s, "ticket", "ring", "mediator", "name") == nil {
		t.Errorf("%v", s)
	}
	ready := post(box.link, "/sessions/{id}/media-tickets", sessionID, map[string]any{"attach": "view"}, 200)
	if _, err := l.tokens.RedeemMedia(t.Context(), text(ready, "rtc", "ticket"), time.Now()); err != nil || text(ready, "rtc", "url") != "/ws/rtc" {
		t.Errorf("%v: %v", ready, err)
	}
	box.link.want(422, "session.bad_attach", "POST", "/sessions/"+sessionID+"/media-tickets", map[string]any{"attach": "all"}, nil)
	post(phone, "/tickets/{id}/answer", id, map[string]any{"key": key(), "take": true}, 200)
	post(phone, "/sessions/{id}/media-tickets", sessionID, map[string]any{"attach": "capture"}, 200)
	post(judge, "/sessions/{id}/media-tickets", sessionID, map[string]any{"attach": "full"}, 200)

	control := func(op string, args map[string]any, status int, code string) {
		t.Helper()
		body := map[string]any{"key": key(), "op": op}
		if args != nil {
			body["args"] = args
		}
		if code == "" {
			post(judge, "/sessions/{id}/control", sessionID, body, status)
			return
		}
		judge.want(status, code, "POST", "/sessions/"+sessionID+"/control", body, nil)
	}
	control("admit", nil, 200, "")
	control("dance", nil, 422, "session.bad_op")
	party := text(l.ask(box.link, "GET", "/situation", "", nil, 200), "session", "participant_id")
	control("mute", map[string]any{"participant": party, "kind": "mic", "on": true}, 200, "")
	control("mute", map[string]any{"participant": party, "kind": "smell", "on": true}, 422, "session.bad_kind")

	judge.header.Set("If-Match", `"0"`)
	l.ask(judge, "PUT", "/sessions/{id}/note", sessionID, map[string]any{"matter": "欠薪", "advice": "", "answer": "可以仲裁", "next_step": ""}, 200)
	judge.want(412, "session.stale_note", "PUT", "/sessions/"+sessionID+"/note", map[string]any{"matter": "旧"}, nil)
	judge.header.Set("If-Match", `"1"`)
	judge.want(422, "session.note_too_long", "PUT", "/sessions/"+sessionID+"/note", map[string]any{"answer": strings.Repeat("长", 401)}, nil)

	dispatch := l.signIn("dispatch")
	if rows, _ := in(l.ask(dispatch, "GET", "/console/sessions", "", nil, 200), "rows").([]any); len(rows) != 1 {
		t.Errorf("sessions %v", rows)
	}
	if rows, _ := in(l.ask(dispatch, "GET", "/console/queue", "", nil, 200), "rows").([]any); len(rows) != 1 {
		t.Errorf("queue %v", rows)
	}
	if o := l.ask(dispatch, "GET", "/console/overview", "", nil, 200); text(o, "tickets", "serving") != "1" || text(o, "seats", "busy") != "1" {
		t.Errorf("%v", o)
	}
	l.judge.want(403, "auth.role", "GET", "/console/queue", nil, nil)

	box.link.want(204, "", "POST", "/sessions/"+sessionID+"/leave", map[string]any{"key": key()}, nil)
	box.link.want(409, "session.state", "POST", "/sessions/"+sessionID+"/rating", map[string]any{"key": key(), "score": 5}, nil)
	control("end", nil, 200, "")
	desk = post(judge, "/sessions/{id}/wrap-up", sessionID, map[string]any{"key": key(), "outcome": "served"}, 200)
	if text(desk, "seat", "state") != "ready" || text(desk, "today", "served") != "1" {
		t.Errorf("%v", desk)
	}
	box.link.want(422, "rating.bad_score", "POST", "/sessions/"+sessionID+"/rating", map[string]any{"key": key()}, nil)
	box.link.want(204, "", "POST", "/sessions/"+sessionID+"/rating", map[string]any{"key": key(), "score": 5}, nil)
	phone.want(204, "", "POST", "/captures/mine/drop", map[string]any{}, nil)
	phone.want(401, "auth.required", "GET", "/captures/mine", nil, nil)
}

// A terminal of somebody else finds nothing.
func TestOthersTicketsDoNotExist(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	mine, other := l.enrol("SN-1"), l.enrol("SN-2")
	mine.connect()
	other.connect()
	mine.link.want(200, "", "POST", "/visits", map[string]any{"key": key(), "how": "anonymous"}, nil)
	k := l.ask(mine.link, "POST", "/tickets", "", map[string]any{"key": key(), "kind": "mediate", "category": "family", "lang": "mn"}, 201)
	for _, path := range []string{"cancel", "return", "answer"} {
		body := map[string]any{"key": key()}
		if path == "answer" {
			body["take"] = true
		}
		other.link.want(404, "queue.no_ticket", "POST", "/tickets/"+text(k, "id")+"/"+path, body, nil)
	}
	raw, err := json.Marshal(l.ask(other.link, "GET", "/situation", "", nil, 200))
	if err != nil || strings.Contains(string(raw), text(k, "id")) {
		t.Errorf("another terminal sees %s, %v", raw, err)
	}
}

// What a person leaves at a kiosk ends with the visit; the next one finds nothing and draws at once.
func TestKioskVisitsAreApart(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	box, body := l.newTV("SN-K")
	body["kind"] = "kiosk"
	var a claimAnswer
	l.anyone().want(201, "", "POST", "/claims", body, &a)
	l.signIn("op").want(200, "", "POST", "/claims/"+string(a.ClaimID)+"/approve",
		map[string]any{"key": key(), "unit_id": l.unit("150426106201"), "name": "村委会一体机", "class": "public"}, nil)
	box.fetch(a)
	box.connect()
	judge := l.judge
	ticket := func() map[string]any {
		return map[string]any{"key": key(), "kind": "mediate", "category": "wages", "lang": "zh"}
	}
	visit := func() string {
		t.Helper()
		return text(l.ask(box.link, "POST", "/visits", "", map[string]any{"key": key(), "how": "anonymous"}, 200), "id")
	}
	end := func(id, why string) {
		t.Helper()
		box.link.want(204, "", "POST", "/visits/"+id+"/close", map[string]any{"why": why}, nil)
		s := l.ask(box.link, "GET", "/situation", "", nil, 200)
		if in(s, "ticket") != nil || in(s, "session") != nil || in(s, "rating") != nil || in(s, "visit") != nil {
			t.Errorf("after the visit: %v", s)
		}
	}
	call := func() (ticketID, sessionID string) {
		t.Helper()
		k := l.ask(box.link, "POST", "/tickets", "", ticket(), 201)
		l.ask(judge, "POST", "/seat", "", map[string]any{"state": "ready"}, 200)
		if err := l.matcher.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		desk := l.ask(judge, "GET", "/desk", "", nil, 200)
		desk = l.ask(judge, "POST", "/offers/{id}/accept", text(desk, "offer", "id"), map[string]any{"ver": in(desk, "offer", "ver")}, 200)
		l.ask(box.link, "POST", "/tickets/{id}/answer", text(k, "id"), map[string]any{"key": key(), "take": true}, 200)
		return text(k, "id"), text(desk, "session", "id")
	}

	// left while waiting
	first := visit()
	k := l.ask(box.link, "POST", "/tickets", "", ticket(), 201)
	end(first, "idle")
	box.link.want(409, "ticket.state", "POST", "/tickets/"+text(k, "id")+"/return", map[string]any{"key": key()}, nil)

	// left in a call, which the mediator has not ended
	second := visit()
	k2, meeting := call()
	l.ask(box.link, "POST", "/sessions/{id}/media-tickets", meeting, map[string]any{"attach": "full"}, 200)
	end(second, "left")
	visit()
	for _, attach := range []string{"view", "full"} {
		box.link.want(404, "session.none", "POST", "/sessions/"+meeting+"/media-tickets", map[string]any{"attach": attach}, nil)
	}
	box.link.want(404, "queue.no_ticket", "POST", "/tickets/"+k2+"/answer", map[string]any{"key": key(), "take": true}, nil)
	k3 := l.ask(box.link, "POST", "/tickets", "", ticket(), 201)
	l.ask(judge, "POST", "/sessions/{id}/control", meeting, map[string]any{"key": key(), "op": "end"}, 200)
	s := l.ask(box.link, "GET", "/situation", "", nil, 200)
	if text(s, "ticket", "id") != text(k3, "id") || in(s, "session") != nil || in(s, "rating") != nil {
		t.Errorf("the third person sees %v", s)
	}
	box.link.want(404, "session.none", "POST", "/sessions/"+meeting+"/rating", map[string]any{"key": key(), "score": 1}, nil)
}
