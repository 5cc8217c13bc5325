package link_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord/memcoord"
)

// pipes is a listener over net.Pipe, so that a whole server runs in a synctest bubble.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	close(l.over)
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// bubble is a Hub inside a synctest bubble.
type bubble struct {
	*backend
	hub    *link.Hub
	listen *pipes
}

// inBubble runs f with a Hub on a virtual clock.
func inBubble(t *testing.T, cfg link.Config, f func(t *testing.T, b *bubble)) {
	t.Helper()
	inBubbleWith(t, cfg, func(*link.Deps, *backend) {}, func(t *testing.T, b *bubble, _ link.Deps) { f(t, b) })
}

// inBubbleWith is inBubble with other parts.
func inBubbleWith(t *testing.T, cfg link.Config, tune func(*link.Deps, *backend), f func(t *testing.T, b *bubble, d link.Deps)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{backend: newBackend(t), listen: &pipes{conns: make(chan net.Conn), over: make(chan struct{})}}
		b.told = make(chan link.Gone, 10)
		cfg.Hosts = []string{"x"}
		d := link.Deps{Verifier: b.backend, Presence: b.backend, Streams: b.backend, Nudges: memcoord.New(time.Now), Logger: quiet(), Now: time.Now}
		tune(&d, b.backend)
		b.hub = link.New(cfg, d)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.hub.Run(ctx)
		}()
		<-b.hub.Started()
		srv := &http.Server{Handler: http.HandlerFunc(b.hub.ServeWS), ReadHeaderTimeout: time.Minute}
		go func() { _ = srv.Serve(b.listen) }()
		f(t, b, d)
		cancel()
		<-ended
		_ = srv.Close()
		synctest.Wait()
	})
}

func (b *bubble) login(t *testing.T, d *device) *client {
	t.Helper()
	return b.resume(t, d, nil)
}

func (b *bubble) resume(t *testing.T, d *device, r *wire.ResumeBody) *client {
	t.Helper()
	dial := dialer()
	dial.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		b.listen.conns <- far
		return near, nil
	}
	ws, res, err := dial.DialContext(t.Context(), "ws://x/ws/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	c := &client{t: t, ws: ws}
	c.expect(wire.Challenge, &c.ch)
	body := d.connect(t, c.ch)
	body.Resume = r
	c.send(wire.Frame{T: wire.Connect}, body)
	c.expect(wire.Welcome, &c.wel)
	_ = ws.SetReadDeadline(time.Time{})
	return c
}

func TestASilentLinkIsClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, link.Config{}, func(t *testing.T, b *bubble) {
		c := b.login(t, b.enrol(newDevice(t, "ed25519")))
		defer func() { _ = c.ws.Close() }()
		start := time.Now()
		pings := 0
		c.ws.SetPingHandler(func(string) error { pings++; return nil }) // hears and says nothing
		_, _, err := c.ws.ReadMessage()
		var ce *websocket.CloseError
		if !errors.As(err, &ce) || ce.Code != wire.CloseIdle {
			t.Fatalf("ended with %v", err)
		}
		if took := time.Since(start); took < 100*time.Second || took > 102*time.Second || pings < 2 {
			t.Errorf("closed after %v and %d pings", took, pings)
		}
		if g := <-b.told; g.Cause != "idle" {
			t.Errorf("gone %+v", g)
		}
	})
}

func TestALinkThatTakesNothingIsClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, link.Config{}, func(t *testing.T, b *bubble) {
		c := b.login(t, b.enrol(newDevice(t, "ed25519")))
		defer func() { _ = c.ws.Close() }()
		start := time.Now()
		if g := <-b.told; g.Cause != "slow" { // nobody reads the first ping
			t.Errorf("gone %+v", g)
		}
		if took := time.Since(start); took < 36*time.Second || took > 66*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestALivingLinkStaysAndIsRenewed(t *testing.T) {
	t.Parallel()
	inBubble(t, link.Config{}, func(t *testing.T, b *bubble) {
		d := b.enrol(newDevice(t, "ed25519"))
		c := b.login(t, d)
		start := time.Now()
		last := start
		pings, renewals := 0, 0
		c.ws.SetPingHandler(func(data string) error {
			gap := time.Since(last)
			if first := last.Equal(start); gap < 36*time.Second && !first || gap > 56*time.Second {
				t.Errorf("ping after %v", gap)
			}
			pings++
			last = time.Now()
			return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Time{})
		})
		end := time.AfterFunc(25*time.Minute, func() { _ = c.ws.Close() })
		defer end.Stop()
		for {
			f, err := c.readSilently()
			if err != nil {
				break
			}
			var body wire.LinkConfigBody
			if err := f.Body(&body); err != nil || f.T != wire.LinkConfig || body.Access == nil {
				t.Fatalf("%s %s %v", f.T, f.B, err)
			}
			// before the end of the old token, not long before
			if left := time.Until(time.UnixMicro(c.wel.Access.ExpAt)); left < 2*time.Minute || left > 3*time.Minute {
				t.Errorf("renewed %v before the end", left)
			}
			c.wel.Access = body.Access
			renewals++
		}
		if took := time.Since(start); took != 25*time.Minute {
			t.Fatalf("closed after %v", took)
		}
		if renewals != 3 || pings < 27 || pings > 42 {
			t.Errorf("%d renewals, %d pings in 25 minutes", renewals, pings)
		}
		<-b.told
	})
}

// Every link's sign of life is handed out at most once in 10 minutes.
func TestSeenIsRare(t *testing.T) {
	t.Parallel()
	inBubble(t, link.Config{}, func(t *testing.T, b *bubble) {
		d := b.enrol(newDevice(t, "ed25519"))
		c := b.login(t, d)
		go func() {
			for {
				if _, err := c.readSilently(); err != nil {
					return
				}
			}
		}()
		seen := 0
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for range 2 * 30 { // half an hour
			<-tick.C
			for _, s := range b.hub.Seen() {
				seen++
				if s.Device != d.id || s.Epoch != 1 || time.Since(s.At) > time.Minute {
					t.Errorf("seen %+v", s)
				}
			}
		}
		if seen < 2 || seen > 3 {
			t.Errorf("seen %d times in half an hour", seen)
		}
		_ = c.ws.Close()
		<-b.told
	})
}

// readSilently reads a frame without a deadline: in a bubble time passes by itself.
func (c *client) readSilently() (wire.Frame, error) {
	_, src, err := c.ws.ReadMessage()
	if err != nil {
		return wire.Frame{}, err
	}
	var f wire.Frame
	return f, wire.Decode(src, &f)
}
