package link_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/fault"
)

func TestHandshakeOfDevices(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ed25519", "p256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			w := setup(t, link.Config{TZ: "Asia/Shanghai", DesiredVer: "v9"}, func(d *link.Deps, _ *link.Hub) {
				if d != nil {
					d.Sync = syncOf(wire.SyncItem{T: "ticket", ID: "t1", Ver: 3})
				}
			})
			d := w.enrol(newDevice(t, alg))
			c := w.login(t, d)
			if c.ch.Server != "127.0.0.1" || len(c.ch.Nonce) != 32 || c.ch.MaxFrame != 4096 || c.ch.AuthTimeoutMS != 10_000 || c.ch.Node != "n1" {
				t.Errorf("challenge %+v", c.ch)
			}
			if c.wel.Epoch != 1 || c.wel.Access == nil || !strings.HasPrefix(c.wel.Access.Token, "access-"+string(d.id)) ||
				c.wel.Ping.EveryS != 45 || c.wel.Ping.DeadAfterS != 100 || c.wel.Limits.PerS != 20 || c.wel.TZ != "Asia/Shanghai" || c.wel.DesiredVer != "v9" {
				t.Errorf("welcome %s", jsonOf(t, c.wel))
			}
			var sync wire.SyncBody
			if c.expect(wire.Sync, &sync); len(sync.Items) != 1 || sync.Items[0].ID != "t1" {
				t.Errorf("sync %+v", sync)
			}
			if e, live := w.hub.Epoch(d.id); e != 1 || !live || w.hub.Links() != 1 {
				t.Errorf("epoch %d, live %v, %d links", e, live, w.hub.Links())
			}
		})
	}
}

func TestHandshakeRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{AuthTimeout: 200 * time.Millisecond})
	honest := func(t *testing.T, alg string) (*device, *client) {
		t.Helper()
		return w.enrol(newDevice(t, alg)), w.dial(t, "/ws/v1")
	}
	connect := func(c *client, b wire.ConnectBody) { c.send(wire.Frame{T: wire.Connect}, b) }
	tests := map[string]struct {
		do   func(t *testing.T) *client
		want int
	}{
		"nothing is said": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			return c
		}, wire.CloseAuthTimeout},
		"another nonce": {func(t *testing.T) *client {
			t.Helper()
			d, c := honest(t, "ed25519")
			ch := c.ch
			ch.Nonce = make([]byte, 32)
			connect(c, d.connect(t, ch))
			return c
		}, wire.CloseBadSignature},
		"another host": {func(t *testing.T) *client {
			t.Helper()
			d, c := honest(t, "p256")
			ch := c.ch
			ch.Server = "evil.example"
			connect(c, d.connect(t, ch))
			return c
		}, wire.CloseBadSignature},
		"another algorithm": {func(t *testing.T) *client {
			t.Helper()
			d, c := honest(t, "p256")
			b := d.connect(t, c.ch)
			b.Auth.Alg = "ed25519"
			connect(c, b)
			return c
		}, wire.CloseBadSignature},
		"another device's key": {func(t *testing.T) *client {
			t.Helper()
			d, c := honest(t, "ed25519")
			other := newDevice(t, "ed25519")
			other.id = d.id
			connect(c, other.connect(t, c.ch))
			return c
		}, wire.CloseBadSignature},
		"a connect of another link, replayed": {func(t *testing.T) *client {
			t.Helper()
			d, first := honest(t, "ed25519")
			b := d.connect(t, first.ch)
			connect(first, b)
			first.expect(wire.Welcome, nil)
			c := w.dial(t, "/ws/v1")
			connect(c, b)
			return c
		}, wire.CloseBadSignature},
		"unknown device": {func(t *testing.T) *client {
			t.Helper()
			c := w.dial(t, "/ws/v1")
			connect(c, newDevice(t, "ed25519").connect(t, c.ch))
			return c
		}, wire.CloseUnknownDevice},
		"expired credential": {func(t *testing.T) *client {
			t.Helper()
			d, c := honest(t, "ed25519")
			w.mu.Lock()
			w.expired[d.id] = true
			w.mu.Unlock()
			connect(c, d.connect(t, c.ch))
			return c
		}, wire.CloseCredExpired},
		"disabled":    {life(w, link.CodeDisabled), wire.CloseDisabled},
		"revoked":     {life(w, link.CodeRevoked), wire.CloseRevoked},
		"quarantined": {life(w, link.CodeQuarantined), wire.CloseQuarantined},
		"never claimed": {
			life(w, link.CodeUnknownDevice), wire.CloseUnknownDevice,
		},
		"the store is down": {life(w, "store.unavailable"), wire.CloseProtocol}, // see overload below
		"a spent link token": {func(t *testing.T) *client {
			t.Helper()
			tok := w.token(auth.Caller{Kind: auth.Staff, StaffID: "s1"})
			body := wire.ConnectBody{Auth: wire.AuthBody{Kind: "session", Token: tok, Screen: "desk", Instance: "i"}}
			first := w.dial(t, "/ws/v1")
			connect(first, body)
			first.expect(wire.Welcome, nil)
			c := w.dial(t, "/ws/v1")
			connect(c, body)
			return c
		}, wire.CloseTokenExpired},
		"a media ticket on the wrong door": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			connect(c, wire.ConnectBody{Auth: wire.AuthBody{Kind: "room", Ticket: "x"}})
			return c
		}, wire.CloseProtocol},
		"a device on the media door": {func(t *testing.T) *client {
			t.Helper()
			d := w.enrol(newDevice(t, "ed25519"))
			c := w.dial(t, "/ws/rtc")
			connect(c, d.connect(t, c.ch))
			return c
		}, wire.CloseProtocol},
		"an unknown kind of caller": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			connect(c, wire.ConnectBody{Auth: wire.AuthBody{Kind: "root"}})
			return c
		}, wire.CloseProtocol},
		"not a connect": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			c.send(wire.Frame{T: wire.Ping, ID: 1}, struct{}{})
			return c
		}, wire.CloseProtocol},
		"too large before auth": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			c.raw(websocket.TextMessage, []byte(`{"v":1,"t":"connect","b":{"boot_id":"`+strings.Repeat("x", 4096)+`"}}`))
			return c
		}, wire.CloseProtocol},
		"another protocol version": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			c.raw(websocket.TextMessage, []byte(`{"v":2,"t":"connect"}`))
			return c
		}, wire.CloseVersion},
		"no JSON": {func(t *testing.T) *client {
			t.Helper()
			_, c := honest(t, "ed25519")
			c.raw(websocket.TextMessage, []byte("GET / HTTP/1.1"))
			return c
		}, wire.CloseProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, reason := tt.do(t).closed(); code != tt.want {
				t.Errorf("closed with %d %s, want %d", code, reason, tt.want)
			}
		})
	}
}

// life returns a connect of a device whose epoch write is refused with a code.
func life(w *world, code string) func(t *testing.T) *client {
	return func(t *testing.T) *client {
		t.Helper()
		d := w.enrol(newDevice(t, "p256"))
		w.mu.Lock()
		w.life[d.id] = code
		w.mu.Unlock()
		c := w.dial(t, "/ws/v1")
		c.send(wire.Frame{T: wire.Connect}, d.connect(t, c.ch))
		return c
	}
}

// What the device cannot help must not make it stop: it comes back.
func TestStoreDownIsOverload(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{}, func(d *link.Deps, _ *link.Hub) {
		if d != nil {
			d.Presence = downPresence{d.Presence}
		}
	})
	d := w.enrol(newDevice(t, "ed25519"))
	c := w.dial(t, "/ws/v1")
	c.send(wire.Frame{T: wire.Connect}, d.connect(t, c.ch))
	if code, reason := c.closed(); code != wire.CloseOverload || reason != "store.unavailable" {
		t.Errorf("closed with %d %s", code, reason)
	}
}

func TestDoor(t *testing.T) {
	t.Parallel()
	upgrade := func(header map[string]string) func(*testing.T, *world) (int, string) {
		return func(t *testing.T, w *world) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.srv.URL+"/ws/v1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range map[string]string{
				"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
				"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": wire.Subprotocol,
			} {
				r.Header.Set(k, v)
			}
			for k, v := range header {
				r.Header.Set(k, v)
			}
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			return res.StatusCode, res.Header.Get("Retry-After")
		}
	}
	plain := upgrade(nil)
	tests := map[string]struct {
		cfg   link.Config
		ask   func(*testing.T, *world) (int, string)
		want  int
		retry bool
	}{
		"welcome":                      {link.Config{}, plain, 101, false},
		"no subprotocol":               {link.Config{}, upgrade(map[string]string{"Sec-WebSocket-Protocol": ""}), 400, false},
		"an unknown subprotocol":       {link.Config{}, upgrade(map[string]string{"Sec-WebSocket-Protocol": "chat"}), 400, false},
		"no websocket":                 {link.Config{}, upgrade(map[string]string{"Upgrade": "h2c"}), 400, false},
		"our own page":                 {link.Config{}, upgrade(map[string]string{"Origin": "SELF"}), 101, false},
		"a stranger's page":            {link.Config{}, upgrade(map[string]string{"Origin": "https://evil.example"}), 403, false},
		"a page without origin (null)": {link.Config{}, upgrade(map[string]string{"Origin": "null"}), 403, false},
		"a configured origin":          {link.Config{Origins: []string{"https://front.example"}}, upgrade(map[string]string{"Origin": "https://front.example"}), 101, false},
		"our page under a foreign name": {
			link.Config{Hosts: []string{"heyi.example"}}, upgrade(map[string]string{"Origin": "SELF"}), 403, false,
		},
		"too many pending": {link.Config{PendingMax: 1}, func(t *testing.T, w *world) (int, string) {
			t.Helper()
			w.dial(t, "/ws/v1")
			return plain(t, w)
		}, 503, true},
		"too many a second for the node": {link.Config{NodePerS: 1}, func(t *testing.T, w *world) (int, string) {
			t.Helper()
			w.dial(t, "/ws/v1")
			return plain(t, w)
		}, 503, true},
		"too many of one neighbourhood": {link.Config{AddrPerS: 1, AddrBurst: 1}, func(t *testing.T, w *world) (int, string) {
			t.Helper()
			w.dial(t, "/ws/v1")
			return plain(t, w)
		}, 429, true},
		"draining": {link.Config{}, func(t *testing.T, w *world) (int, string) {
			t.Helper()
			w.hub.Drain(t.Context(), "deploy", 0)
			return plain(t, w)
		}, 503, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, tt.cfg)
			ask := tt.ask
			if name == "our own page" || name == "our page under a foreign name" {
				ask = upgrade(map[string]string{"Origin": w.srv.URL})
			}
			status, retry := ask(t, w)
			if status != tt.want || (retry != "") != tt.retry {
				t.Errorf("status %d, Retry-After %q", status, retry)
			}
		})
	}
}

func TestPendingPlacesComeBack(t *testing.T) {
	t.Parallel()
	w := setup(t, link.Config{PendingMax: 2})
	for range 10 {
		w.login(t, w.enrol(newDevice(t, "ed25519")))         // settles by its welcome
		c := w.dial(t, "/ws/v1")                             // settles by its refusal
		c.send(wire.Frame{T: wire.Connect}, wire.AuthBody{}) //nolint:exhaustruct // refused for that
		if code, _ := c.closed(); code != wire.CloseProtocol {
			t.Fatalf("closed with %d", code)
		}
	}
}

func faultOf(code string) error { return fault.New(fault.Unavailable, code) }
