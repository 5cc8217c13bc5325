package main

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
)

// stage tells the people of a run how far it is.
type stage struct {
	closing atomic.Bool // begin nothing new
}

// drawn is a ticket that was promised.
type drawn struct {
	key, id, no string
	at          time.Time
}

// rated is a rating that was taken.
type rated struct {
	session string
	score   int
}

// citizen comes to a device again and again, asks for advice, talks, rates and leaves.
type citizen struct {
	b     *box
	a     *asker
	st    *studio
	stage *stage
	rnd   *mrand.Rand
	nudge chan struct{}

	mu      sync.Mutex
	tickets []drawn
	keys    []string // of every ticket that was asked for
	ratings []rated
	served  int
	wrong   []string // answers that contradict what was promised
	busy    string   // what it does now
}

// situation is what a screen reads.
type situation struct {
	Visit  *struct{ ID string }
	Ticket *struct {
		ID, No, State string
		Ring          *struct {
			SessionID string `json:"session_id"`
		}
	}
	Session *struct{ ID, State string }
	Rating  *struct {
		SessionID string `json:"session_id"`
	}
}

func (c *citizen) do(ctx context.Context, method, path string, body, out any) error {
	c.mu.Lock()
	c.busy = method + " " + path
	c.mu.Unlock()
	return c.a.ask(ctx, request{method: method, path: "/api/v1" + path, body: body, sign: asBox(c.b)}, out)
}

func (c *citizen) contradiction(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf("citizen at %s: ", c.b.dev.Serial)+fmt.Sprintf(format, args...))
}

// run comes and goes until the stage closes.
func (c *citizen) run(ctx context.Context) error {
	for !c.stage.closing.Load() {
		if err := c.visit(ctx); err != nil {
			return err
		}
		if !wait(ctx, time.Duration(500+c.rnd.IntN(2500))*time.Millisecond) {
			break
		}
	}
	return ctx.Err()
}

func (c *citizen) visit(ctx context.Context) error {
	var v struct{ ID string }
	if err := c.do(ctx, http.MethodPost, "/visits", map[string]string{"key": newKey(), "how": "anonymous"}, &v); err != nil {
		return err
	}
	if err := c.consult(ctx); err != nil {
		return err
	}
	err := c.do(ctx, http.MethodPost, "/visits/"+v.ID+"/close", map[string]string{"why": "left"}, nil)
	if codeOf(err) == "visit.not_found" {
		return nil
	}
	return err
}

// draw asks for a ticket and keeps what was promised.
func (c *citizen) draw(ctx context.Context) (id string, err error) {
	key := newKey()
	c.mu.Lock()
	c.keys = append(c.keys, key)
	c.mu.Unlock()
	var k struct{ ID, No string }
	err = c.do(ctx, http.MethodPost, "/tickets", map[string]string{"key": key, "kind": "consult", "category": "wages", "lang": "zh"}, &k)
	if r := codeOf(err); r == "queue.already_waiting" {
		c.contradiction("a ticket is open that it does not hold: %v", err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	c.tickets = append(c.tickets, drawn{key, k.ID, k.No, time.Now()})
	c.mu.Unlock()
	return k.ID, nil
}

// consult draws a ticket and sees it through.
func (c *citizen) consult(ctx context.Context) error {
	id, err := c.draw(ctx)
	if err != nil || id == "" {
		return err
	}
	call := caller{}
	defer call.leave()
	for {
		var s situation
		if err := c.do(ctx, http.MethodGet, "/situation", nil, &s); err != nil {
			return err
		}
		if s.Ticket != nil && s.Ticket.ID != id {
			c.contradiction("holds %s and is shown %s", id, s.Ticket.ID)
			return nil
		}
		switch {
		case s.Ticket == nil:
			call.leave()
			return c.rate(ctx, s)
		case s.Ticket.State == "ringing":
			err = c.answer(ctx, id)
		case s.Ticket.State == "missed", s.Ticket.State == "parked":
			err = c.do(ctx, http.MethodPost, "/tickets/"+id+"/return", map[string]string{"key": newKey()}, nil)
			if codeOf(err) == "ticket.state" || codeOf(err) == "queue.no_ticket" {
				err = nil
			}
		case s.Ticket.State == "serving" && s.Session != nil && (s.Session.State == "joint" || s.Session.State == "suspended"):
			call.join(ctx, s.Session.ID, func(ctx context.Context, id string) { c.st.attend(ctx, c.a, asBox(c.b), id) })
		case s.Ticket.State == "waiting":
			call.leave()
		}
		if err != nil {
			return err
		}
		if err := c.pause(ctx); err != nil {
			return err
		}
	}
}

// pause waits for a nudge, or for as long as a page waits between two looks.
func (c *citizen) pause(ctx context.Context) error {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.nudge:
	case <-t.C:
	}
	return nil
}

func (c *citizen) answer(ctx context.Context, id string) error {
	err := c.do(ctx, http.MethodPost, "/tickets/"+id+"/answer", map[string]any{"key": newKey(), "take": true}, nil)
	if codeOf(err) == "ticket.state" || codeOf(err) == "queue.no_ticket" { // the ring was over
		return nil
	}
	return err
}

func (c *citizen) rate(ctx context.Context, s situation) error {
	if s.Rating == nil {
		return nil
	}
	score := 1 + c.rnd.IntN(5)
	err := c.do(ctx, http.MethodPost, "/sessions/"+s.Rating.SessionID+"/rating", map[string]any{"key": newKey(), "score": score, "skip": false}, nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served++
	c.ratings = append(c.ratings, rated{s.Rating.SessionID, score})
	return nil
}

// caller is a participant's media, one session at a time.
type caller struct {
	session string
	cancel  context.CancelFunc
	done    chan struct{}
}

// join attends a session unless it does already.
func (c *caller) join(ctx context.Context, session string, attend func(context.Context, string)) {
	if c.session == session {
		return
	}
	c.leave()
	ctx, c.cancel = context.WithCancel(ctx)
	c.session, c.done = session, make(chan struct{})
	go func(done chan struct{}) { // leave waits for it
		defer close(done)
		attend(ctx, session)
	}(c.done)
}

func (c *caller) leave() {
	if c.session == "" {
		return
	}
	c.cancel()
	<-c.done
	c.session = ""
}

// desk is a mediator at work.
type desk struct {
	login  string
	client *sim.Client
	cookie string
	a      *asker
	st     *studio
	rnd    *mrand.Rand
	link   *mrand.Rand // of the goroutine that keeps the link
	nudge  chan struct{}

	longest time.Duration // conversation

	since map[string]time.Time // since when a session is joint
	talk  map[string]time.Duration
	keys  map[string]string // idempotency keys of what was begun, by operation and session

	mu       sync.Mutex
	accepted map[string]time.Time // by session
	ended    map[string]time.Time // sessions it asked to end
	wrapped  map[string]time.Time // sessions whose form was taken
	noted    map[string]int64     // newest version of a note that was taken
	wrong    []string
	busy     string
}

type deskView struct {
	Seat  struct{ State string }
	Offer *struct {
		ID  string
		Ver int64
	}
	Session *struct {
		ID, State string
		Note      struct{ Version int64 }
	}
	WrapUp *struct {
		SessionID string `json:"session_id"`
		Note      struct {
			Version int64
			Answer  string
		}
	} `json:"wrap_up"`
}

func newDesk(ctx context.Context, base string, who account, a *asker, st *studio, rnd *mrand.Rand) (*desk, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	client := &sim.Client{Base: base, HTTP: &http.Client{Jar: jar, Transport: a.http.Transport, Timeout: 30 * time.Second}}
	code, err := who.code(time.Now())
	if err != nil {
		return nil, err
	}
	var me struct{ CSRF string }
	if err := client.Call(ctx, http.MethodPost, "/api/v1/staff/login", map[string]string{"login": who.login, "password": who.password, "totp": code}, &me); err != nil {
		return nil, fmt.Errorf("sign in as %s: %w", who.login, err)
	}
	client.CSRF = me.CSRF
	u, err := url.Parse(base + "/api/v1/desk") // its path: the cookie is for the API alone
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	d := &desk{
		login: who.login, client: client, a: a, st: st, rnd: rnd, link: mrand.New(mrand.NewPCG(rnd.Uint64(), 3)), nudge: make(chan struct{}, 1), //nolint:gosec // choices of a simulation
		since: map[string]time.Time{}, talk: map[string]time.Duration{}, keys: map[string]string{},
		accepted: map[string]time.Time{}, ended: map[string]time.Time{}, wrapped: map[string]time.Time{}, noted: map[string]int64{},
	}
	for _, k := range client.HTTP.Jar.Cookies(u) {
		d.cookie = k.Name + "=" + k.Value
	}
	return d, nil
}

func (d *desk) do(ctx context.Context, method, path string, header http.Header, body, out any) error {
	d.mu.Lock()
	d.busy = method + " " + path
	d.mu.Unlock()
	return d.a.ask(ctx, request{method: method, path: "/api/v1" + path, header: header, body: body, sign: asStaff(d.client, d.cookie)}, out)
}

// key is the one key of an operation on a session, however often it is tried.
func (d *desk) key(op, session string) string {
	k := op + " " + session
	if d.keys[k] == "" {
		d.keys[k] = newKey()
	}
	return d.keys[k]
}

// run works until ctx ends. It owns its link and its media.
func (d *desk) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linked := make(chan struct{})
	go func() {
		defer close(linked)
		d.linkUp(ctx)
	}()
	defer func() {
		cancel()
		<-linked
	}()
	var call caller
	defer call.leave()
	for {
		if err := d.step(ctx, &call); err != nil {
			return err
		}
		t := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-d.nudge:
			t.Stop()
		case <-t.C:
		}
	}
}

// linkUp keeps the page's link, at any node.
func (d *desk) linkUp(ctx context.Context) {
	for ctx.Err() == nil {
		dial, cancel := context.WithTimeout(ctx, dialLine)
		l, err := d.client.At(d.a.host()).Link(dial, "desk")
		cancel()
		if err != nil {
			wait(ctx, time.Duration(300+d.link.IntN(1500))*time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, l.Close)
		l.Read(func(*wire.Frame) { token(d.nudge) })
		stop()
		l.Close()
		wait(ctx, time.Duration(d.link.IntN(500))*time.Millisecond)
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// step reads the desk and does what is next.
func (d *desk) step(ctx context.Context, call *caller) error {
	var v deskView
	if err := d.do(ctx, http.MethodGet, "/desk", nil, nil, &v); err != nil {
		return err
	}
	switch {
	case v.Session != nil:
		call.join(ctx, v.Session.ID, func(ctx context.Context, id string) { d.st.attend(ctx, d.a, asStaff(d.client, d.cookie), id) })
		return d.converse(ctx, v)
	case v.WrapUp != nil:
		call.leave()
		return d.wrapUp(ctx, v)
	case v.Offer != nil:
		return d.accept(ctx, v)
	}
	call.leave()
	if v.Seat.State != "ready" && v.Seat.State != "busy" {
		err := d.do(ctx, http.MethodPost, "/seat", nil, map[string]string{"state": "ready"}, nil)
		if codeOf(err) != "" { // no link yet
			return nil
		}
		return err
	}
	return nil
}

func (d *desk) accept(ctx context.Context, v deskView) error {
	var got deskView
	err := d.do(ctx, http.MethodPost, "/offers/"+v.Offer.ID+"/accept", nil, map[string]any{"ver": v.Offer.Ver}, &got)
	if codeOf(err) != "" { // lapsed or taken
		return nil
	}
	if err == nil && got.Session != nil {
		d.mu.Lock()
		d.accepted[got.Session.ID] = time.Now()
		d.mu.Unlock()
	}
	return err
}

// converse talks for a while, writes the note and ends the session.
func (d *desk) converse(ctx context.Context, v deskView) error {
	s := v.Session
	if s.State != "joint" {
		return nil
	}
	if d.since[s.ID].IsZero() {
		d.since[s.ID], d.talk[s.ID] = time.Now(), between(d.rnd, d.longest/5, d.longest)
	}
	if time.Since(d.since[s.ID]) < d.talk[s.ID] {
		return nil
	}
	if s.Note.Version == 0 {
		if err := d.note(ctx, s.ID, 0); err != nil {
			return err
		}
	}
	d.mu.Lock()
	if _, ok := d.ended[s.ID]; !ok {
		d.ended[s.ID] = time.Now()
	}
	d.mu.Unlock()
	err := d.do(ctx, http.MethodPost, "/sessions/"+s.ID+"/control", nil, map[string]any{"key": d.key("end", s.ID), "op": "end"}, nil)
	if codeOf(err) != "" { // somebody is lost at this moment, or it went on at another seat
		return nil
	}
	return err
}

func (d *desk) note(ctx context.Context, session string, version int64) error {
	var n struct{ Version int64 }
	err := d.do(ctx, http.MethodPut, "/sessions/"+session+"/note", http.Header{"If-Match": {`"` + strconv.FormatInt(version, 10) + `"`}},
		map[string]string{"matter": "工资", "answer": "请带上合同到司法所。"}, &n)
	if codeOf(err) != "" { // stale: the first try was taken and its answer lost; or it went on at another seat
		return nil
	}
	if err == nil {
		d.mu.Lock()
		d.noted[session] = max(d.noted[session], n.Version)
		d.mu.Unlock()
	}
	return err
}

func (d *desk) wrapUp(ctx context.Context, v deskView) error {
	id := v.WrapUp.SessionID
	if v.WrapUp.Note.Answer == "" {
		if err := d.note(ctx, id, v.WrapUp.Note.Version); err != nil {
			return err
		}
	}
	err := d.do(ctx, http.MethodPost, "/sessions/"+id+"/wrap-up", nil, map[string]any{"key": d.key("wrap", id), "outcome": "served"}, nil)
	if codeOf(err) != "" { // its time was over
		return nil
	}
	if err == nil {
		d.mu.Lock()
		d.wrapped[id] = time.Now()
		d.mu.Unlock()
	}
	return err
}
