package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

// downPresence is a presence whose store is down.
type downPresence struct{ link.Presence }

func (downPresence) Connect(_ context.Context, batch []link.ConnectRequest) []link.ConnectResult {
	out := make([]link.ConnectResult, len(batch))
	for i := range out {
		out[i].Err = faultOf("store.unavailable")
	}
	return out
}

func syncOf(items ...wire.SyncItem) func(context.Context, auth.Caller) ([]wire.SyncItem, error) {
	return func(context.Context, auth.Caller) ([]wire.SyncItem, error) { return items, nil }
}

func TestNewerLinkSupersedes(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d := w.enrol(newDevice(t, "ed25519"))
	old := w.login(t, d)
	newer := w.login(t, d)
	if code, _ := old.closed(); code != wire.CloseSuperseded {
		t.Errorf("the old link was closed with %d", code)
	}
	newer.alive()
	if e, _ := w.hub.Epoch(d.id); e != 2 {
		t.Errorf("epoch %d, want 2", e)
	}
	_ = newer.ws.Close()
	// the old link must not have been reported: the first and only report is of epoch 2
	if g := w.waitGone(); g.Device != d.id || g.Epoch != 2 || g.Cause != "network" {
		t.Errorf("gone %+v", g)
	}
	if len(w.told) != 0 {
		t.Errorf("one more report: %+v", <-w.told)
	}
	// both are counted down: nothing is left for a drain to wait for
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if w.hub.Drain(ctx, "deploy", time.Second); ctx.Err() != nil {
		t.Errorf("%d links after both ended", w.hub.Links())
	}
}

// Two connects of one device at the same instant get two epochs, in two statements.
func TestOneDeviceTwiceInABatch(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{BatchWait: 100 * time.Millisecond})
	d := w.enrol(newDevice(t, "ed25519"))
	clients := make([]*client, 8)
	for i := range clients {
		clients[i] = w.dial(t, "/ws/v1")
	}
	for _, c := range clients {
		c.send(wire.Frame{T: wire.Connect}, d.connect(t, c.ch))
	}
	superseded := 0
	var alive *client
	for _, c := range clients {
		f, err := c.read()
		var ce *websocket.CloseError
		if errors.As(err, &ce) && ce.Code == wire.CloseSuperseded {
			superseded++ // a higher epoch was registered before its welcome
			continue
		}
		if err != nil || f.T != wire.Welcome {
			t.Fatalf("%v %v", f.T, err)
		}
		var wel wire.WelcomeBody
		if err := f.Body(&wel); err != nil {
			t.Fatal(err)
		}
		if wel.Epoch == int64(len(clients)) {
			alive = c
			continue
		}
		if code, _ := c.closed(); code != wire.CloseSuperseded {
			t.Errorf("closed with %d", code)
		}
		superseded++
	}
	if superseded != len(clients)-1 || alive == nil {
		t.Fatalf("%d superseded", superseded)
	}
	alive.alive()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.batches {
		if len(b) != 1 {
			t.Errorf("%d connects of one device in one statement", len(b))
		}
	}
}

func TestConnectsAreBatched(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{BatchWait: time.Hour, BatchMax: 20})
	var wg sync.WaitGroup
	for range 20 {
		d := w.enrol(newDevice(t, "ed25519"))
		c := w.dial(t, "/ws/v1")
		b := d.connect(t, c.ch)
		wg.Go(func() {
			c.send(wire.Frame{T: wire.Connect}, b)
			c.expect(wire.Welcome, nil)
		})
	}
	wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.batches) != 1 || len(w.batches[0]) != 20 {
		t.Errorf("%d batches", len(w.batches))
	}
}

func TestRulesOfFrames(t *testing.T) {
	t.Parallel()
	text := func(s string) func(*client) {
		return func(c *client) { c.raw(websocket.TextMessage, []byte(s)) }
	}
	tests := map[string]struct {
		do     func(*client)
		code   int
		reason string
	}{
		"oversized":          {text(`{"v":1,"t":"telemetry","b":{"x":"` + strings.Repeat("x", 64<<10) + `"}}`), wire.CloseProtocol, "frame.too_large"},
		"far oversized":      {text(strings.Repeat("x", 300<<10)), wire.CloseProtocol, "frame.too_large"},
		"malformed":          {text(`{"v":1,"t":`), wire.CloseProtocol, "frame.malformed"},
		"no object":          {text(`[1]`), wire.CloseProtocol, "frame.malformed"},
		"two objects":        {text(`{"v":1,"t":"ping"}{"v":1,"t":"ping"}`), wire.CloseProtocol, "frame.malformed"},
		"a body of a string": {text(`{"v":1,"t":"ping","b":"x"}`), wire.CloseProtocol, "frame.malformed"},
		"a mistyped body":    {text(`{"v":1,"t":"telemetry","id":1,"b":{"cpu":"x"}}`), wire.CloseProtocol, "frame.malformed"},
		"too deep":           {text(`{"v":1,"t":"ping","b":{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}}`), wire.CloseProtocol, "frame.too_deep"},
		"broken UTF-8":       {text("{\"v\":1,\"t\":\"ping\",\"b\":{\"x\":\"\xff\"}}"), wire.CloseProtocol, "frame.malformed"},
		"version":            {text(`{"v":7,"t":"ping"}`), wire.CloseVersion, "frame.version"},
		"must understand":    {text(`{"v":1,"t":"future.thing","flags":1}`), wire.CloseProtocol, "frame.must_understand"},
		"connect again":      {text(`{"v":1,"t":"connect"}`), wire.CloseProtocol, "frame.handshake_over"},
		"binary":             {func(c *client) { c.raw(websocket.BinaryMessage, []byte(`{"v":1,"t":"ping"}`)) }, wire.CloseProtocol, "frame.binary"},
		"too fast": {func(c *client) {
			for range 60 {
				if c.ws.WriteMessage(websocket.TextMessage, []byte(`{"v":1,"t":"telemetry"}`)) != nil {
					return
				}
			}
		}, wire.CloseRateLimited, "frame.rate"},
		"too many control frames": {func(c *client) {
			for range 60 {
				if c.ws.WriteControl(websocket.PingMessage, []byte("x"), time.Now().Add(patience)) != nil {
					return
				}
			}
		}, wire.CloseRateLimited, "frame.rate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, link.Config{Burst: 30}, func(_ *link.Deps, h *link.Hub) {
				if h != nil {
					h.Handle(wire.Telemetry, func(_ context.Context, _ auth.Caller, _ string, f *wire.Frame) (any, error) {
						var b wire.TelemetryBody
						return b, f.Body(&b)
					})
				}
			})
			neighbour := w.login(t, w.enrol(newDevice(t, "ed25519")))
			c := w.login(t, w.enrol(newDevice(t, "ed25519")))
			tt.do(c)
			if code, reason := c.closed(); code != tt.code || reason != tt.reason {
				t.Errorf("closed with %d %q, want %d %q", code, reason, tt.code, tt.reason)
			}
			if g := w.waitGone(); g.Cause != "server_closed" {
				t.Errorf("cause %s", g.Cause)
			}
			neighbour.alive()
		})
	}
}

func TestRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	type call struct {
		caller auth.Caller
		addr   string
	}
	calls := make(chan call, 10)
	w := setup(t, link.Config{}, func(_ *link.Deps, h *link.Hub) {
		if h == nil {
			return
		}
		h.Handle(wire.TicketCreate, func(_ context.Context, caller auth.Caller, addr string, _ *wire.Frame) (any, error) {
			calls <- call{caller, addr}
			return map[string]string{"no": "A 037"}, nil
		})
		h.Handle(wire.TicketCancel, func(context.Context, auth.Caller, string, *wire.Frame) (any, error) {
			return nil, fault.New(fault.Conflict, "queue.already_waiting").WithRef("t1")
		})
		h.Handle(wire.TicketAnswer, func(context.Context, auth.Caller, string, *wire.Frame) (any, error) {
			return nil, errors.New("dial tcp 10.0.0.1: secret")
		})
		h.Handle(wire.TicketCallback, func(context.Context, auth.Caller, string, *wire.Frame) (any, error) {
			return nil, fault.New(fault.TooMany, "x.rate").After(2 * time.Second)
		})
	})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.login(t, d)
	ask := func(raw string) string {
		c.raw(websocket.TextMessage, []byte(raw))
		f, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		f.At = 0
		return jsonOf(t, f)
	}
	for raw, want := range map[string]string{
		`{"v":1,"t":"ticket.create","id":1}`:                    `{"v":1,"t":"ticket.create","re":1,"b":{"no":"A 037"}}`,
		`{"v":1,"t":"ticket.cancel","id":2}`:                    `{"v":1,"t":"ticket.cancel","re":2,"err":{"code":110,"reason":"queue.already_waiting","ref":"t1"}}`,
		`{"v":1,"t":"ticket.answer","id":3}`:                    `{"v":1,"t":"ticket.answer","re":3,"err":{"code":100,"reason":"internal","temporary":true}}`,
		`{"v":1,"t":"ticket.callback","id":4}`:                  `{"v":1,"t":"ticket.callback","re":4,"err":{"code":111,"reason":"x.rate","temporary":true,"retry_after_ms":2000}}`,
		`{"v":1,"t":"offer.accept","id":5}`:                     `{"v":1,"t":"offer.accept","re":5,"err":{"code":104,"reason":"frame.unknown_type"}}`,
		`{"v":1,"t":"future.thing","id":6,"b":{"future":true}}`: `{"v":1,"t":"error","re":6,"err":{"code":104,"reason":"frame.unknown_type"}}`,
	} {
		if got := ask(raw); got != want {
			t.Errorf("%s\n got %s\nwant %s", raw, got, want)
		}
	}
	got := <-calls
	if got.addr != "device/"+string(d.id) || got.caller.Kind != auth.Device || got.caller.DeviceID != d.id || got.caller.DeviceUnit != "u1" || got.caller.Epoch != 1 {
		t.Errorf("the handler saw %+v", got)
	}
	// what asks for no answer gets none: the next frame is the pong
	c.raw(websocket.TextMessage, []byte(`{"v":1,"t":"future.thing"}`))
	c.raw(websocket.TextMessage, []byte(`{"v":1,"t":"ticket.create"}`))
	c.raw(websocket.TextMessage, []byte(`{"v":1,"t":"ping"}`))
	var pong wire.PongBody
	if c.expect(wire.Pong, &pong); pong.NowAt == 0 {
		t.Error("pong without now_at")
	}
}

func TestNudgesReachTheirAddress(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	d1, d2 := w.enrol(newDevice(t, "ed25519")), w.enrol(newDevice(t, "ed25519"))
	a, b := w.login(t, d1), w.login(t, d2)
	desk := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1"}, "desk", "i1")
	phone := w.page(t, auth.Caller{Kind: auth.Capture, GrantID: "g1"}, "phone", "i1")
	for addr, c := range map[string]*client{"device/" + string(d1.id): a, "device/" + string(d2.id): b, "staff/s1": desk, "capture/g1": phone} {
		w.nudges.Publish(t.Context(), coord.Nudge{To: addr, T: wire.TicketState, ID: addr, Ver: 7, Why: "test"})
		var n wire.NudgeBody
		if c.expect(wire.TicketState, &n); n.ID != addr || n.Ver != 7 || n.Why != "test" {
			t.Errorf("%s got %+v", addr, n)
		}
	}
	w.nudges.Publish(t.Context(), coord.Nudge{To: "matcher", ID: "x"})
	w.nudges.Publish(t.Context(), coord.Nudge{To: "staff/nobody", T: wire.OfferNew, ID: "x"})
	for _, c := range []*client{a, b, desk, phone} {
		c.alive()
	}
}

func TestKicks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		why   string
		ver   int64
		code  int // 0: the link stays
		cause string
	}{
		"revoked":                      {"kick.retired", 2, wire.CloseRevoked, "server_closed"},
		"disabled":                     {"kick.disabled", 2, wire.CloseDisabled, "server_closed"},
		"quarantined":                  {"kick.quarantined", 2, wire.CloseQuarantined, "server_closed"},
		"taken over by another node":   {"kick.", 2, wire.CloseSuperseded, ""},
		"a late kick of an older link": {"kick.disabled", 1, 0, ""},
		"an unknown reason":            {"kick.active", 2, 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, link.Config{})
			d := w.enrol(newDevice(t, "ed25519"))
			c := w.login(t, d)
			w.nudges.Publish(t.Context(), coord.Nudge{To: "device/" + string(d.id), ID: string(d.id), Ver: tt.ver, Why: tt.why})
			if tt.code == 0 {
				w.nudges.Publish(t.Context(), coord.Nudge{To: "device/" + string(d.id), T: wire.TicketState, ID: "t"})
				c.expect(wire.TicketState, nil)
				return
			}
			if code, _ := c.closed(); code != tt.code {
				t.Errorf("closed with %d", code)
			}
			w.cancel()
			<-w.ended
			if tt.cause == "" && len(w.told) > 0 {
				t.Errorf("reported gone: %+v", <-w.told)
			}
			if tt.cause != "" {
				if g := w.waitGone(); g.Cause != tt.cause {
					t.Errorf("gone %+v", g)
				}
			}
		})
	}
}

func TestPagesOfOnePerson(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{PersonLinks: 2})
	staff := auth.Caller{Kind: auth.Staff, StaffID: "s1", LoginID: "l1"}
	first := w.page(t, staff, "desk", "tab1")
	again := w.page(t, staff, "desk", "tab1")
	if code, _ := first.closed(); code != wire.CloseSuperseded {
		t.Errorf("same tab: the old link was closed with %d", code)
	}
	second := w.page(t, staff, "console", "tab2")
	again.alive()
	third := w.page(t, staff, "desk", "tab3")
	if code, _ := again.closed(); code != wire.CloseSuperseded {
		t.Errorf("beyond the limit: the oldest link was closed with %d", code)
	}
	other := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1", LoginID: "l2"}, "desk", "tab4")
	if code, _ := second.closed(); code != wire.CloseSuperseded {
		t.Errorf("beyond the limit: closed with %d", code)
	}
	w.nudges.Publish(t.Context(), coord.Nudge{To: "staff/s1", ID: "l1", Why: "kick.signed_out"})
	if code, _ := third.closed(); code != wire.CloseSignedOut {
		t.Errorf("signed out: closed with %d", code)
	}
	other.alive() // another sign-in of the same person
}

// Watch tells the level: after everything calmed down the last word is right.
func TestWatchTellsWhetherAPersonIsThere(t *testing.T) {
	t.Parallel()
	levels := make(chan bool, 100)
	w := setup(t, link.Config{}, func(d *link.Deps, _ *link.Hub) {
		if d != nil {
			d.Watch = func(_ context.Context, addr string, caller auth.Caller, live bool) {
				if addr == "staff/s1" && caller.StaffID == "s1" {
					levels <- live
				}
			}
		}
	})
	wait := func(want bool) {
		t.Helper()
		for {
			select {
			case got := <-levels:
				if got == want {
					return
				}
			case <-time.After(patience):
				t.Fatalf("never told %v", want)
			}
		}
	}
	a := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1"}, "desk", "i1")
	wait(true)
	b := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1"}, "desk", "i2")
	_ = a.ws.Close()
	b.alive()
	_ = b.ws.Close()
	wait(false)
}

func TestADeviceSaysWhyItLeaves(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	for why, want := range map[string]string{"reboot": "reboot", "user_off": "user_off", "boredom": "network"} {
		c := w.login(t, w.enrol(newDevice(t, "ed25519")))
		c.send(wire.Frame{T: wire.GoingAway}, wire.GoingAwayBody{Why: why})
		c.alive()
		_ = c.ws.Close()
		if g := w.waitGone(); g.Cause != want {
			t.Errorf("%s: cause %s, want %s", why, g.Cause, want)
		}
	}
}

func TestGoneIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	c := w.login(t, w.enrol(newDevice(t, "ed25519")))
	w.mu.Lock()
	w.goneErr = faultOf("store.unavailable")
	w.mu.Unlock()
	_ = c.ws.Close()
	if g := w.waitGone(); g.Epoch != 1 {
		t.Errorf("gone %+v", g)
	}
}

func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{SendBuffer: 32 << 10, WriteTimeout: 300 * time.Millisecond})
	slow := w.enrol(newDevice(t, "ed25519"))
	c := w.dialWith(t, "/ws/v1", smallBuffers())
	c.send(wire.Frame{T: wire.Connect}, slow.connect(t, c.ch))
	c.expect(wire.Welcome, nil)
	quick := w.enrol(newDevice(t, "ed25519"))
	n := w.login(t, quick)
	// more than socket buffers and outbox hold, while the client reads nothing; in portions, or it would be lost on the way
	var g link.Gone
	for i, end := 0, time.Now().Add(patience); g.Device == "" && time.Now().Before(end); i++ {
		w.nudges.Publish(t.Context(), coord.Nudge{To: "device/" + string(slow.id), T: wire.TicketState, ID: fmt.Sprint(i), Ver: 1, Why: strings.Repeat("x", 1000)})
		if i%500 == 499 {
			g = w.goneWithin(20 * time.Millisecond)
		}
	}
	w.nudges.Publish(t.Context(), coord.Nudge{To: "device/" + string(quick.id), T: wire.TicketState, ID: "mine"})
	n.expect(wire.TicketState, nil) // the neighbour hears as ever
	if g.Device != slow.id || g.Cause != "slow" {
		t.Errorf("gone %+v", g)
	}
	n.alive()
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	leaves := w.login(t, w.enrol(newDevice(t, "ed25519")))
	stays := w.login(t, w.enrol(newDevice(t, "p256")))
	pending := w.dial(t, "/ws/v1")
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		w.hub.Drain(t.Context(), "deploy", 300*time.Millisecond)
	}()
	var away wire.GoingAwayBody
	if leaves.expect(wire.GoingAway, &away); away.Why != "deploy" || away.WindowMS != 300 {
		t.Errorf("going_away %+v", away)
	}
	_ = leaves.ws.Close()
	for name, c := range map[string]*client{"a link": stays, "a socket before auth": pending} {
		if code, _ := c.closed(); code != wire.CloseGoingAway {
			t.Errorf("%s was closed with %d", name, code)
		}
		_ = c.ws.Close()
	}
	select {
	case <-drained:
	case <-time.After(patience):
		t.Fatal("the drain does not end")
	}
	for range 2 {
		if g := w.waitGone(); g.Cause != "deploy" {
			t.Errorf("gone %+v", g)
		}
	}
}

// Run ends with links still open (a drain that ran out of time): all are closed and reported.
func TestRunEndsWithOpenLinks(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{})
	for range 5 {
		w.login(t, w.enrol(newDevice(t, "ed25519")))
		w.dial(t, "/ws/v1")
	}
	w.cancel()
	select {
	case <-w.ended:
	case <-time.After(patience):
		t.Fatal("Run does not end")
	}
	if len(w.told) != 5 {
		t.Errorf("%d links reported, want 5", len(w.told))
	}
	if w.hub.Links() != 0 {
		t.Errorf("%d links left", w.hub.Links())
	}
}

func TestRooms(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, w *world) *client {
		t.Helper()
		w.mu.Lock()
		w.tickets["tick"] = media.Ticket{Room: "r1", Participant: "p1", Attachment: "a1", Kind: media.AttachFull, JoinGen: 4}
		w.mu.Unlock()
		c := w.dial(t, "/ws/rtc")
		c.send(wire.Frame{T: wire.Connect}, wire.ConnectBody{Auth: wire.AuthBody{Kind: "room", Ticket: "tick"}})
		return c
	}
	t.Run("frames go both ways", func(t *testing.T) {
		t.Parallel()
		w := setup(t, link.Config{})
		c := open(t, w)
		c.expect(wire.Welcome, &c.wel)
		if c.wel.Epoch != 4 || c.wel.Limits.Burst != 200 || c.wel.Access != nil {
			t.Errorf("welcome %+v", c.wel)
		}
		c.send(wire.Frame{T: wire.RTCWant}, wire.RTCWantBody{Attach: "full"})
		if got := <-w.rooms.frames; got != wire.RTCWant {
			t.Errorf("the engine got %s", got)
		}
		w.rooms.line().Send(media.Out{T: wire.RTCTracks, B: wire.RTCTracksBody{Epoch: 9}})
		var tracks wire.RTCTracksBody
		if c.expect(wire.RTCTracks, &tracks); tracks.Epoch != 9 {
			t.Errorf("tracks %+v", tracks)
		}
		// a frame that is none of the room's
		c.send(wire.Frame{T: wire.TicketCreate, ID: 3}, struct{}{})
		if f := c.expect(wire.TicketCreate, nil); f.Err == nil || f.Err.Code != wire.NumUnknownType {
			t.Errorf("answer %+v", f)
		}
		_ = c.ws.Close()
		if r := <-w.rooms.closed; r != "lost" {
			t.Errorf("the engine heard %s", r)
		}
	})
	t.Run("a refused frame is told and the line stays", func(t *testing.T) {
		t.Parallel()
		w := setup(t, link.Config{})
		c := open(t, w)
		c.expect(wire.Welcome, nil)
		w.rooms.mu.Lock()
		w.rooms.answer = fault.New(fault.Invalid, "rtc.bad_sdp")
		w.rooms.mu.Unlock()
		c.send(wire.Frame{T: wire.RTCOffer}, wire.RTCSDPBody{PC: "pub"})
		var fail wire.RTCFailBody
		if c.expect(wire.RTCFail, &fail); fail.Code != "rtc.bad_sdp" {
			t.Errorf("fail %+v", fail)
		}
		c.alive()
	})
	t.Run("the engine does not take the line", func(t *testing.T) {
		t.Parallel()
		w := setup(t, link.Config{})
		w.rooms.refuse = fault.New(fault.Forbidden, "rtc.not_admitted")
		c := open(t, w)
		c.expect(wire.Welcome, nil)
		var fail wire.RTCFailBody
		if c.expect(wire.RTCFail, &fail); fail.Code != "rtc.not_admitted" {
			t.Errorf("fail %+v", fail)
		}
		if code, _ := c.closed(); code != wire.CloseNotAdmitted {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("a ticket works once", func(t *testing.T) {
		t.Parallel()
		w := setup(t, link.Config{})
		open(t, w).expect(wire.Welcome, nil)
		c := w.dial(t, "/ws/rtc")
		c.send(wire.Frame{T: wire.Connect}, wire.ConnectBody{Auth: wire.AuthBody{Kind: "room", Ticket: "tick"}})
		if code, reason := c.closed(); code != wire.CloseTokenExpired || reason != "rtc.ticket_expired" {
			t.Errorf("closed with %d %s", code, reason)
		}
	})
	for reason, want := range map[media.Reason]int{
		"ended": wire.CloseNotAdmitted, "removed": wire.CloseNotAdmitted, "replaced": wire.CloseSuperseded,
		"shutdown": wire.CloseGoingAway, "moved": wire.CloseGoingAway, "lost": wire.CloseIdle,
	} {
		t.Run("the engine says "+string(reason), func(t *testing.T) {
			t.Parallel()
			w := setup(t, link.Config{})
			c := open(t, w)
			c.expect(wire.Welcome, nil)
			c.alive() // the engine has opened
			w.rooms.line().Closed(reason)
			if code, _ := c.closed(); code != want {
				t.Errorf("closed with %d, want %d", code, want)
			}
		})
	}
}

// rows is the content of a live view in these tests.
type rows struct {
	mu    sync.Mutex
	list  []link.ViewRow
	total int
	reads int
}

func (r *rows) set(total int, list ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total, r.list = total, nil
	for pair := range slices.Chunk(list, 2) {
		r.list = append(r.list, link.ViewRow{ID: pair[0], Row: json.RawMessage(fmt.Sprintf(`{"id":%q,"v":%q}`, pair[0], pair[1]))})
	}
}

func (r *rows) query(_ context.Context, caller auth.Caller, open wire.ViewOpenBody) (link.ViewRows, error) {
	if caller.Kind != auth.Staff || open.View != "devices" {
		return link.ViewRows{}, fault.New(fault.Forbidden, "view.forbidden")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	return link.ViewRows{Rows: r.list, Total: r.total}, nil
}

func TestLiveViews(t *testing.T) {
	t.Parallel()
	content := &rows{}
	content.set(2, "d1", "on", "d2", "on")
	w := setup(t, link.Config{ViewEvery: 20 * time.Millisecond, ViewRefresh: 24 * time.Hour}, func(d *link.Deps, _ *link.Hub) {
		if d != nil {
			d.Views = content.query
		}
	})
	console := w.page(t, auth.Caller{Kind: auth.Staff, StaffID: "s1"}, "console", "i1")
	dirty := func() {
		w.nudges.Publish(t.Context(), coord.Nudge{To: coord.ToConsole, ID: "devices"})
	}
	console.send(wire.Frame{T: wire.ViewOpen, ID: 7}, wire.ViewOpenBody{View: "devices"})
	var snap link.Snapshot
	if f := console.expect(wire.ViewSnapshot, &snap); f.Re != 7 || snap.VSeq != 1 || snap.Total != 2 || len(snap.Rows) != 2 {
		t.Fatalf("snapshot %s", jsonOf(t, snap))
	}
	content.set(3, "d1", "off", "d3", "on")
	dirty()
	var d link.Delta
	console.expect(wire.ViewDelta, &d)
	if got, want := jsonOf(t, d), `{"vseq":2,"up":[{"id":"d1","v":"off"},{"id":"d3","v":"on"}],"gone":["d2"],"total":3}`; got != want {
		t.Errorf("delta %s\n want %s", got, want)
	}
	// an unchanged list sends nothing: the next delta is the one after it
	dirty()
	console.alive()
	content.set(4, "d1", "off", "d3", "on")
	dirty()
	d = link.Delta{}
	if console.expect(wire.ViewDelta, &d); d.VSeq != 3 || len(d.Up) != 0 || len(d.Gone) != 0 || d.Total != 4 {
		t.Errorf("delta %s", jsonOf(t, d))
	}
	console.send(wire.Frame{T: wire.ViewOpen, ID: 8}, wire.ViewOpenBody{View: "devices", Chip: "online"})
	if console.expect(wire.ViewSnapshot, &snap); snap.VSeq != 1 || snap.Total != 4 {
		t.Errorf("opened again: %s", jsonOf(t, snap))
	}
	console.send(wire.Frame{T: wire.ViewClose, ID: 9}, struct{}{})
	console.expect(wire.ViewClose, nil)
	content.set(5, "d9", "on")
	dirty()
	console.alive()
	device := w.login(t, w.enrol(newDevice(t, "ed25519")))
	device.send(wire.Frame{T: wire.ViewOpen, ID: 1}, wire.ViewOpenBody{View: "devices"})
	if f := device.expect(wire.ViewOpen, nil); f.Err == nil || f.Err.Code != wire.NumForbidden {
		t.Errorf("a device opened a view: %s", jsonOf(t, f))
	}
}

func TestSeenAndRTT(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{PingEvery: 50 * time.Millisecond})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.login(t, d)
	pinged := make(chan struct{}, 10)
	c.ws.SetPingHandler(func(data string) error {
		err := c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
		pinged <- struct{}{}
		return err
	})
	go func() { _, _ = c.read() }()
	<-pinged
	<-pinged // the server has read the first pong before it pings again, or soon after
	deadline := time.After(patience)
	for {
		if rtt, ok := w.hub.RTT(d.id); ok && rtt < patience {
			break
		}
		select {
		case <-pinged:
		case <-deadline:
			t.Fatal("no round trip")
		}
	}
	if got := w.hub.Seen(); len(got) != 0 {
		t.Errorf("seen %+v right after the connect, which wrote it", got)
	}
	if _, ok := w.hub.RTT(ident.New[ident.DeviceID]()); ok {
		t.Error("a round trip of nobody")
	}
	_ = c.ws.Close()
	w.waitGone()
}
