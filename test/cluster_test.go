package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"

	"heyi/cmd/heyi/app"
	"heyi/configs"
	"heyi/gateway/wire"
	"heyi/internal/coord/redistest"
	"heyi/store/storetest"
)

// cluster is two nodes on one real PostgreSQL and one real Redis.
type cluster struct {
	t     *testing.T
	dsn   string
	redis *redistest.Server
	a, b  *node
}

// configs returns the configurations of the two nodes, their sweeps a second apart so that tests need not wait for five.
func (c *cluster) configs() (a, b configs.Config) {
	c.t.Helper()
	list := [2]configs.Config{demoConfig(c.t), demoConfig(c.t)}
	for i := range list {
		n := &list[i]
		n.Node.Name = []string{"a", "b"}[i]
		n.Store.Driver, n.Store.DSN, n.Store.Readers = "postgres", c.dsn, 2
		n.Coord.Driver, n.Coord.URL, n.Coord.Sweep = configs.CoordRedis, c.redis.URL(), time.Second
	}
	return list[0], list[1]
}

// ground starts what two nodes stand on.
func ground(t *testing.T) *cluster {
	t.Helper()
	return &cluster{t: t, dsn: storetest.PostgresConfig(t).DSN, redis: redistest.Start(t)}
}

// startCluster starts two nodes that hear each other.
func startCluster(t *testing.T, tune ...func(*configs.Config)) *cluster {
	t.Helper()
	c := ground(t)
	cfgA, cfgB := c.configs()
	for _, f := range tune {
		f(&cfgA)
		f(&cfgB)
	}
	c.a = start(t, cfgA)
	c.join(cfgA.Data, cfgB.Data)
	c.b = start(t, cfgB)
	c.a.coord("ok")
	c.b.coord("ok")
	return c
}

// join gives a second node the demo's passwords, as an operator would tell them to people once.
func (c *cluster) join(from, to string) {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(from, "demo.json")) //nolint:gosec // our own folder
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "demo.json"), b, 0o600); err != nil { //nolint:gosec // our own folder
		c.t.Fatal(err)
	}
}

// coord waits until a node says so of its line to the others.
func (n *node) coord(want string) {
	n.t.Helper()
	n.until("coord is "+want, func() bool {
		var h struct{ Coord string }
		_, body := n.get("/healthz", nil)
		return json.Unmarshal(body, &h) == nil && h.Coord == want
	})
}

// sql reads one text from the database.
func (c *cluster) sql(query string, args ...any) string {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.dsn)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(c.t.Context())) }()
	var text string
	if err := conn.QueryRow(c.t.Context(), query, args...).Scan(&text); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
	return text
}

// at is the same terminal, speaking to another node.
func (d *terminal) at(n *node) *terminal {
	other := *d
	other.n = n
	return &other
}

// at is the same sign-in, speaking to another node.
func (m *mediator) at(n *node) *mediator { return &mediator{n: n, header: m.header} }

// both makes the same call at both nodes at one instant and returns how many answered with each code; "" is success.
func (c *cluster) both(call func(*node) answer) map[string]int {
	got := [2]answer{}
	var ready, done sync.WaitGroup
	ready.Add(2)
	for i, n := range []*node{c.a, c.b} {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			got[i] = call(n)
		})
	}
	done.Wait()
	codes := map[string]int{}
	for _, a := range got {
		if a.status < http.StatusMultipleChoices {
			codes[""]++
		} else {
			codes[a.code()]++
		}
	}
	return codes
}

// knock offers a one-time proof at both nodes at one instant, each over a socket whose challenge is answered already,
// and returns the close codes; 0 is a welcome.
func (c *cluster) knock(path string, auth wire.AuthBody) [2]int {
	c.t.Helper()
	b, err := json.Marshal(wire.ConnectBody{Auth: auth})
	if err != nil {
		c.t.Fatal(err)
	}
	data, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: wire.Connect, B: b})
	if err != nil {
		c.t.Fatal(err)
	}
	links := [2]*link{}
	for i, n := range []*node{c.a, c.b} {
		links[i], _ = n.dialAt(path)
	}
	var codes [2]int
	var ready, done sync.WaitGroup
	ready.Add(2)
	for i, l := range links {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			l.write(websocket.TextMessage, data)
			f, code := l.read()
			if code == 0 && f.T != wire.Welcome { // rtc.fail stands before the close
				code = l.closed()
			}
			codes[i] = code
		})
	}
	done.Wait()
	for _, l := range links {
		_ = l.ws.Close()
	}
	return codes
}

// What one node issues, the other takes: keys, credentials, tokens, sign-ins. And a move of a device ends what was
// before, wherever it was.
func TestNodesTakeWhatTheOtherIssues(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	tv := c.a.claim()
	first := tv.connect()
	there := tv.at(c.b)
	if a := there.do(http.MethodGet, "/situation", nil); a.status != http.StatusOK {
		t.Errorf("the token of a link on a, at b: %d %s", a.status, a.body)
	}
	second := there.connect() // the credential was signed on a
	if code := first.closed(); code != wire.CloseSuperseded {
		t.Errorf("the link on a was closed with %d", code)
	}
	for _, n := range []*node{c.a, c.b} {
		if a := there.at(n).do(http.MethodGet, "/situation", nil); a.status != http.StatusOK {
			t.Errorf("the new token at %s: %d", n.cfg.Node.Name, a.status)
		}
		if a := tv.at(n).do(http.MethodGet, "/situation", nil); a.status != http.StatusUnauthorized {
			t.Errorf("the former token at %s: %d", n.cfg.Node.Name, a.status)
		}
	}
	second.alive(1)

	// a sign-in is one everywhere, and so is its end
	lawyer := c.a.signIn("lvshi")
	desk := lawyer.at(c.b).connect()
	if a := lawyer.at(c.b).do(http.MethodGet, "/desk", nil); a.status != http.StatusOK {
		t.Errorf("the desk at b: %d %s", a.status, a.body)
	}
	if a := lawyer.do(http.MethodPost, "/staff/logout", nil); a.status >= http.StatusMultipleChoices {
		t.Fatalf("sign out: %d %s", a.status, a.body)
	}
	if code := desk.closed(); code != wire.CloseSignedOut {
		t.Errorf("the desk at b was closed with %d", code)
	}
	if a := lawyer.at(c.b).do(http.MethodGet, "/desk", nil); a.status != http.StatusUnauthorized {
		t.Errorf("the desk at b after signing out at a: %d", a.status)
	}
	var list struct{ Keys []struct{ KID string } }
	for _, n := range []*node{c.a, c.b} {
		before := list
		n.call(http.MethodGet, n.url+"/api/v1/verify/keys", nil, nil).into(t, &list)
		if n == c.b && fmt.Sprint(before) != fmt.Sprint(list) {
			t.Errorf("the published keys differ: %v, %v", before, list)
		}
	}
}

// What may be used once is used once when both nodes get it at the same instant.
func TestOneUseTokensAreSpentOnceByTwoNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	lawyer := c.a.signIn("lvshi")
	tv := c.a.claim()
	tv.connect()
	const rounds = 8
	for i := range rounds {
		var token struct{ Token string }
		screen := fmt.Sprint("tab", i)
		lawyer.do(http.MethodPost, "/staff/link-tokens", map[string]string{"screen": "desk", "instance": screen}).into(t, &token)
		codes := c.knock("/ws/v1", wire.AuthBody{Kind: "session", Token: token.Token, Screen: "desk", Instance: screen})
		if codes != [2]int{0, wire.CloseTokenExpired} && codes != [2]int{wire.CloseTokenExpired, 0} {
			t.Errorf("link token, round %d: %v, want one welcome and one %d", i, codes, wire.CloseTokenExpired)
		}
	}
	if a := tv.do(http.MethodPost, "/visits", map[string]any{"key": key(), "how": "anonymous"}); a.status >= http.StatusMultipleChoices {
		t.Fatalf("visit: %d %s", a.status, a.body)
	}
	for i := range rounds / 2 { // ten looks an address and minute
		var offer struct{ Code string }
		tv.at([]*node{c.a, c.b}[i%2]).do(http.MethodPost, "/captures", map[string]any{"key": key()}).into(t, &offer)
		codes := c.both(func(n *node) answer {
			return n.call(http.MethodPost, n.url+"/api/v1/captures/redeem", nil, map[string]string{"code": offer.Code})
		})
		if codes[""] != 1 || codes["capture.spent"] != 1 {
			t.Errorf("phone as camera, round %d: %v", i, codes)
		}
	}

	// a room: media tickets, and the link of the other party
	chair := c.a.signIn("tiaojie")
	desk := chair.connect()
	var k struct{ ID string }
	tv.do(http.MethodPost, "/tickets", map[string]any{"key": key(), "kind": "mediate", "category": "land", "lang": "zh"}).into(t, &k)
	granted(t, desk.sits(1), &struct{}{})
	o := chair.offer()
	var view struct{ Session struct{ ID string } }
	granted(t, desk.ask(2, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &view)
	if a := tv.at(c.b).do(http.MethodPost, "/tickets/"+k.ID+"/answer", map[string]any{"key": key(), "take": true}); a.status != http.StatusOK {
		t.Fatalf("the answer at the other node: %d %s", a.status, a.body)
	}
	for i := range rounds / 2 {
		var room struct{ RTC struct{ Ticket string } }
		chair.do(http.MethodPost, "/sessions/"+view.Session.ID+"/media-tickets", map[string]string{"attach": "full"}).into(t, &room)
		codes := c.knock("/ws/rtc", wire.AuthBody{Kind: "room", Ticket: room.RTC.Ticket})
		if (codes[0] == wire.CloseTokenExpired) == (codes[1] == wire.CloseTokenExpired) {
			t.Errorf("media ticket, round %d: %v, want exactly one %d", i, codes, wire.CloseTokenExpired)
		}
	}
	var dispute struct{ ID string }
	chair.do(http.MethodPost, "/sessions/"+view.Session.ID+"/dispute", map[string]any{
		"key": key(), "mediation_kind": "people", "category": "land", "applicant": map[string]string{"name": "申请人甲"}, "facts": "草牧场没有退还", "requests": []string{},
	}).into(t, &dispute)
	chair.at(c.b).do(http.MethodPost, "/disputes/"+dispute.ID+"/invites", map[string]any{
		"key": key(), "name": "被申请人乙", "phone": "13800000002", "role": "respondent", "side": "B",
	}).into(t, &dispute)
	var mine mine
	tv.do(http.MethodGet, "/dispute", nil).into(t, &mine)
	for len(mine.Asks) > 0 {
		tv.at(c.b).do(http.MethodPost, "/dispute/answers", mine.yes(t)).into(t, &mine)
	}
	var texts struct{ Rows []struct{ Link string } }
	c.a.until("the invitation", func() bool {
		c.a.call(http.MethodGet, c.a.url+"/api/v1/demo/texts", nil, nil).into(t, &texts)
		return len(texts.Rows) > 0
	})
	_, token, _ := strings.Cut(texts.Rows[0].Link, "/join/")
	codes := c.both(func(n *node) answer {
		return n.call(http.MethodPost, n.url+"/api/v1/links/redeem", nil, map[string]string{"token": token})
	})
	if codes[""] != 1 || codes["token.spent"] != 1 {
		t.Errorf("a party's link: %v", codes)
	}
}

// An operator at one node takes a terminal out of service that is linked to the other: by nudge, and without Redis by
// the sweep.
func TestDeviceDisabledOnTheOtherNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	operator := c.a.signIn("yunwei")
	disable := func(d *terminal) {
		t.Helper()
		a := operator.do(http.MethodPost, "/devices/"+d.id+"/disable", map[string]any{"key": key(), "reason": "检修"})
		if a.status != http.StatusOK {
			t.Fatalf("disable: %d %s", a.status, a.body)
		}
	}
	for _, mode := range []string{"by nudge", "by sweep"} {
		tv := c.a.claim().at(c.b)
		l := tv.connect()
		if mode == "by sweep" {
			c.redis.Kill()
			c.a.coord("degraded")
		}
		began := time.Now()
		disable(tv)
		if code := l.closed(); code != wire.CloseDisabled {
			t.Errorf("%s: closed with %d, want %d", mode, code, wire.CloseDisabled)
		}
		t.Logf("%s: closed after %v", mode, time.Since(began).Round(time.Millisecond))
	}
	// and whoever comes back moves the link without Redis too
	tv := c.a.claim()
	old := tv.connect()
	tv.at(c.b).connect()
	if code := old.closed(); code != wire.CloseSuperseded {
		t.Errorf("moved without Redis: the former link was closed with %d", code)
	}
}

// A ticket drawn at one node is offered to a desk at the other, and the ring comes back, by pushes.
func TestTicketRingsThroughTwoNodes(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	tv := c.a.claim()
	screen := tv.connect()
	lawyer := c.b.signIn("lvshi")
	desk := lawyer.connect()
	granted(t, desk.sits(1), &struct{}{})
	began := time.Now()
	tv.waits()
	var n wire.NudgeBody
	desk.expect(wire.OfferNew, &n)
	o := lawyer.offer()
	if n.ID != o.ID {
		t.Errorf("the desk is told of %s, is offered %s", n.ID, o.ID)
	}
	t.Logf("drawn at a, offered at b after %v", time.Since(began).Round(time.Millisecond))
	granted(t, desk.ask(2, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &struct{}{})
	screen.expect(wire.TicketRing, &n)
	var s struct{ Ticket struct{ State string } }
	if tv.do(http.MethodGet, "/situation", nil).into(t, &s); s.Ticket.State != "ringing" {
		t.Errorf("the ticket is %s", s.Ticket.State)
	}
}

// The same without Redis, slower: both nodes say that they are degraded, links are told what is new by sweeps, sign-ins
// hold, nobody may guess passwords, and everything is as before when Redis is back, empty.
func TestServiceGoesOnWithoutRedis(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	tv := c.a.claim()
	screen := tv.connect()
	lawyer := c.b.signIn("lvshi")
	desk := lawyer.connect()
	granted(t, desk.sits(1), &struct{}{})

	c.redis.Kill()
	degraded := func(l *link, want bool) {
		t.Helper()
		for {
			var b wire.LinkConfigBody
			l.expect(wire.LinkConfig, &b)
			if b.Degraded != nil && *b.Degraded == want {
				return
			}
		}
	}
	for _, n := range []*node{c.a, c.b} {
		n.coord("degraded")
	}
	degraded(screen, true)
	degraded(desk, true)
	if a := c.a.call(http.MethodPost, c.a.url+"/api/v1/staff/login", nil, map[string]string{"login": "lvshi", "password": "x"}); a.status != http.StatusServiceUnavailable || a.code() != "coord.unavailable" {
		t.Errorf("a sign-in while nobody counts the wrong ones: %d %s", a.status, a.code())
	}
	if a := lawyer.do(http.MethodGet, "/desk", nil); a.status != http.StatusOK {
		t.Errorf("who is signed in: %d %s", a.status, a.code())
	}

	began := time.Now()
	tv.waits()
	var o offer
	for o.ID == "" {
		var b wire.SyncBody
		desk.expect(wire.Sync, &b)
		for _, x := range b.Items {
			if x.T == "offer" {
				o = offer{ID: x.ID, Ver: x.Ver}
			}
		}
	}
	t.Logf("drawn at a, told at b without Redis after %v", time.Since(began).Round(time.Millisecond))
	var offer struct{ Code, URL string }
	if tv.do(http.MethodPost, "/captures", map[string]any{"key": key()}).into(t, &offer); offer.Code == "" {
		t.Errorf("no phone as camera without Redis: %+v", offer)
	}
	if a := c.b.call(http.MethodPost, c.b.url+"/api/v1/captures/peek", nil, map[string]string{"code": offer.Code}); a.code() != "coord.unavailable" {
		t.Errorf("a typed code, which may be guessed: %d %s", a.status, a.code())
	}
	_, token, _ := strings.Cut(offer.URL, "/c/")
	if a := c.b.call(http.MethodPost, c.b.url+"/api/v1/captures/redeem", nil, map[string]string{"token": token}); a.status != http.StatusCreated {
		t.Errorf("a scanned link, which may not: %d %s", a.status, a.code())
	}
	began = time.Now()
	granted(t, desk.ask(2, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &struct{}{})
	for rings := false; !rings; {
		var b wire.SyncBody
		screen.expect(wire.Sync, &b)
		for _, x := range b.Items {
			rings = rings || x.T == "session"
		}
	}
	t.Logf("accepted at b, told at a without Redis after %v", time.Since(began).Round(time.Millisecond))
	var s struct{ Ticket struct{ ID, State string } }
	if tv.do(http.MethodGet, "/situation", nil).into(t, &s); s.Ticket.State != "ringing" {
		t.Errorf("the ticket is %s", s.Ticket.State)
	}
	// signing out still ends the link at the other node
	out := lawyer.at(c.a).do(http.MethodPost, "/staff/logout", nil)
	if code := desk.closed(); out.status >= http.StatusMultipleChoices || code != wire.CloseSignedOut {
		t.Errorf("signed out at a (%d), the desk at b was closed with %d", out.status, code)
	}

	c.redis.Start()
	for _, n := range []*node{c.a, c.b} {
		n.coord("ok")
	}
	degraded(screen, false)
	again := c.b.signIn("lvshi").connect()
	tv.do(http.MethodPost, "/tickets/"+s.Ticket.ID+"/cancel", map[string]string{"key": key()})
	var n wire.NudgeBody
	again.expect(wire.TicketState, &n) // pushed, from a to b
}

// A desk that is open on both nodes keeps its seat when one of its pages closes.
func TestSeatFollowsTheDeskThatIsLeft(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	lawyer := c.a.signIn("lvshi")
	here := lawyer.connect()
	granted(t, here.sits(1), &struct{}{})
	there := lawyer.at(c.b).connect()
	seat := func(want string) {
		t.Helper()
		c.a.until("the seat is linked to "+want, func() bool {
			return c.sql(`SELECT link_node FROM seat JOIN staff ON staff.id = seat.staff_id WHERE staff.login = 'lvshi'`) == want
		})
	}
	seat("b")
	_ = there.ws.Close()
	seat("a")
	var d struct{ Seat struct{ State string } }
	if lawyer.do(http.MethodGet, "/desk", nil).into(t, &d); d.Seat.State != "ready" {
		t.Errorf("the seat is %s", d.Seat.State)
	}
}

// The name of a living node is not given to a process on another data folder.
func TestNameOfALivingNodeIsRefused(t *testing.T) {
	t.Parallel()
	c := ground(t)
	first, second := c.configs()
	n := start(t, first)
	second.Node.Name = first.Node.Name
	err := app.Run(t.Context(), second, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "node.name") {
		t.Errorf("err = %v, want one that names the node and says what to do", err)
	}
	if status, _ := n.get("/readyz", nil); status != http.StatusOK {
		t.Errorf("the first process: %d", status)
	}
}

// Two nodes without Redis say what is lost instead of pretending.
func TestSeveralNodesWithoutAnEngineSayDegraded(t *testing.T) {
	t.Parallel()
	c := ground(t)
	first, second := c.configs()
	for _, cfg := range []*configs.Config{&first, &second} {
		cfg.Coord.Driver, cfg.Coord.URL = configs.CoordMemory, ""
	}
	a := start(t, first)
	a.coord("ok")
	c.join(first.Data, second.Data)
	b := start(t, second)
	a.coord("degraded")
	b.coord("degraded")
	b.stop()
	a.coord("ok")
}

// One node is killed with SIGKILL in the middle: what only one node does goes on at the other, its terminals and desks
// come back there.
func TestOtherNodeGoesOn(t *testing.T) {
	t.Parallel()
	c := ground(t)
	cfgA, cfgB := c.configs()
	a := spawn(t, cfgA)
	c.join(cfgA.Data, cfgB.Data)
	b := start(t, cfgB)
	owners := func() string {
		return c.sql(`SELECT string_agg(name || ' ' || owner, ', ' ORDER BY name) FROM lease WHERE name IN ('matcher', 'fleet-sweeper')`)
	}
	if got := owners(); got != "fleet-sweeper a, matcher a" {
		t.Fatalf("before: %s", got)
	}
	tv := a.claim()
	tv.connect()
	no := tv.waits()
	lawyer := a.signIn("lvshi")
	lawyer.connect()

	a.end(syscall.SIGKILL)
	began := time.Now()
	b.until("b has what only one node has", func() bool { return owners() == "fleet-sweeper b, matcher b" })
	t.Logf("b holds the leases of killed a after %v", time.Since(began).Round(time.Millisecond))
	tv = tv.at(b)
	screen := tv.connect()
	lawyer = lawyer.at(b) // the sign-in holds
	desk := lawyer.connect()
	granted(t, desk.sits(1), &struct{}{})
	o := lawyer.offer() // b's matcher found the ticket that was drawn at a
	granted(t, desk.ask(2, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &struct{}{})
	screen.expect(wire.TicketRing, nil)
	var s struct{ Ticket struct{ No, State string } }
	if tv.do(http.MethodGet, "/situation", nil).into(t, &s); s.Ticket.No != no || s.Ticket.State != "ringing" {
		t.Errorf("%+v, want %s ringing", s.Ticket, no)
	}
}
