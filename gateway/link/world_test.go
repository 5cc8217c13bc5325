package link_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/wire"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// device is a terminal with its key.
type device struct {
	id   ident.DeviceID
	alg  string
	ed   ed25519.PrivateKey
	p256 *ecdsa.PrivateKey
}

func newDevice(tb testing.TB, alg string) *device {
	tb.Helper()
	d := &device{id: ident.New[ident.DeviceID](), alg: alg}
	var err error
	switch alg {
	case "ed25519":
		_, d.ed, err = ed25519.GenerateKey(rand.Reader)
	case "p256":
		d.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *device) sign(tb testing.TB, msg []byte) []byte {
	tb.Helper()
	if d.alg == "ed25519" {
		return ed25519.Sign(d.ed, msg)
	}
	sum := sha256.Sum256(msg)
	r, s, err := ecdsa.Sign(rand.Reader, d.p256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func (d *device) public() crypto.PublicKey {
	if d.alg == "ed25519" {
		return d.ed.Public()
	}
	return &d.p256.PublicKey
}

// connect is the honest answer to a challenge.
func (d *device) connect(tb testing.TB, ch wire.ChallengeBody) wire.ConnectBody {
	tb.Helper()
	cnonce := make([]byte, 16)
	_, _ = rand.Read(cnonce)
	cred := "cred-" + string(d.id)
	return wire.ConnectBody{BootID: "boot", Auth: wire.AuthBody{
		Kind: "device", DeviceID: string(d.id), Cred: cred, Alg: d.alg, CNonce: cnonce,
		Sig: d.sign(tb, wire.ConnectProof(ch.Server, ch.Nonce, cnonce, string(d.id), cred, nil)),
	}}
}

// backend fakes what stands behind the Hub: keys and lives of devices, tokens, the epoch table, the engine.
type backend struct {
	t testing.TB

	mu      sync.Mutex
	devices map[ident.DeviceID]*device
	life    map[ident.DeviceID]string // fault code of a device that is not admitted
	expired map[ident.DeviceID]bool
	epochs  map[ident.DeviceID]int64
	batches [][]link.ConnectRequest
	gone    []link.Gone
	goneErr error
	told    chan link.Gone
	tokens  map[string]link.VerifiedSession
	tickets map[string]media.Ticket
	life10  time.Duration // of access tokens

	streams  map[ident.DeviceID]devices.StreamsAt
	stored   map[ident.DeviceID][]devices.UpFrame
	appends  [][]devices.UpFrame
	appendNo error // of the next Append

	rooms *engine
}

func newBackend(tb testing.TB) *backend {
	tb.Helper()
	return &backend{
		t: tb, devices: map[ident.DeviceID]*device{}, life: map[ident.DeviceID]string{}, expired: map[ident.DeviceID]bool{},
		epochs: map[ident.DeviceID]int64{}, told: make(chan link.Gone, 5000), tokens: map[string]link.VerifiedSession{},
		tickets: map[string]media.Ticket{}, life10: 10 * time.Minute,
		streams: map[ident.DeviceID]devices.StreamsAt{}, stored: map[ident.DeviceID][]devices.UpFrame{},
	}
}

func (b *backend) enrol(d *device) *device {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.devices[d.id] = d
	return d
}

// Device implements link.Verifier with real signatures.
func (b *backend) Device(_ context.Context, p link.DeviceProof) (link.VerifiedDevice, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	bad := fault.New(fault.Unauthenticated, link.CodeBadSignature)
	id := ident.DeviceID(p.Auth.DeviceID)
	d := b.devices[id]
	switch {
	case d == nil:
		return link.VerifiedDevice{}, fault.New(fault.NotFound, link.CodeUnknownDevice)
	case b.expired[id]:
		return link.VerifiedDevice{}, fault.New(fault.Expired, link.CodeCredExpired)
	case p.Auth.Cred != "cred-"+p.Auth.DeviceID || p.Auth.Alg != d.alg:
		return link.VerifiedDevice{}, bad
	}
	msg := wire.ConnectProof(p.Server, p.Nonce, p.Auth.CNonce, p.Auth.DeviceID, p.Auth.Cred, nil)
	switch key := d.public().(type) {
	case ed25519.PublicKey:
		if !ed25519.Verify(key, msg, p.Auth.Sig) {
			return link.VerifiedDevice{}, bad
		}
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		if len(p.Auth.Sig) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(p.Auth.Sig[:32]), new(big.Int).SetBytes(p.Auth.Sig[32:])) {
			return link.VerifiedDevice{}, bad
		}
	}
	return link.VerifiedDevice{ID: id, KeySHA256: hex.EncodeToString(p.Auth.CNonce)}, nil
}

// Session implements link.Verifier: every token works once.
func (b *backend) Session(_ context.Context, token, screen, instance string, _ time.Time) (link.VerifiedSession, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.tokens[token]
	if !ok {
		return link.VerifiedSession{}, fault.New(fault.Conflict, "token.spent")
	}
	delete(b.tokens, token)
	s.Screen, s.Instance = screen, instance
	return s, nil
}

// Room implements link.Verifier.
func (b *backend) Room(_ context.Context, ticket string, _ time.Time) (media.Ticket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.tickets[ticket]
	if !ok {
		return media.Ticket{}, fault.New(fault.Expired, "rtc.ticket_expired")
	}
	delete(b.tickets, ticket)
	return t, nil
}

// Access implements link.Verifier.
func (b *backend) Access(_ context.Context, dev ident.DeviceID, _ string, _ int64, now time.Time) (wire.AccessBody, error) {
	return wire.AccessBody{Token: "access-" + string(dev) + "-" + now.UTC().Format("150405"), ExpAt: now.Add(b.life10).UnixMicro()}, nil
}

// Connect implements link.Presence.
func (b *backend) Connect(_ context.Context, batch []link.ConnectRequest) []link.ConnectResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches = append(b.batches, batch)
	out := make([]link.ConnectResult, len(batch))
	for i, q := range batch {
		if code := b.life[q.Device]; code != "" {
			out[i].Err = fault.New(fault.Forbidden, code)
			continue
		}
		b.epochs[q.Device]++
		out[i] = link.ConnectResult{Epoch: b.epochs[q.Device], Unit: "u1"}
		if q.Resume != nil {
			at, known := b.streams[q.Device]
			res, write, _ := devices.PlanResume(at, known, *q.Resume, ident.New[string]())
			if write || res.DownAcked != at.DownAcked || res.DownSent != at.DownSent {
				b.streams[q.Device] = res.StreamsAt
			}
			out[i].Streams = &res
		}
	}
	return out
}

// Append implements link.Streams by the rules of the store.
func (b *backend) Append(_ context.Context, frames []devices.UpFrame) ([]devices.UpResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.appendNo; err != nil {
		b.appendNo = nil
		return nil, err
	}
	b.appends = append(b.appends, frames)
	out := make([]devices.UpResult, len(frames))
	for i, f := range frames {
		at := b.streams[f.Device]
		switch {
		case f.Epoch != b.epochs[f.Device]:
			out[i] = devices.UpSuperseded
		case f.Stream != at.Up && at.Up != "", f.Seq > at.UpAcked+1:
			out[i] = devices.UpBroken
		case f.Seq <= at.UpAcked:
			out[i] = devices.UpRepeated
		default:
			at.Up, at.UpAcked = f.Stream, f.Seq
			if f.Inventory != nil {
				at.Inventory = f.Inventory.Hash
			}
			b.streams[f.Device] = at
			b.stored[f.Device] = append(b.stored[f.Device], f)
		}
	}
	return out, nil
}

// Gone implements link.Presence.
func (b *backend) Gone(_ context.Context, batch []link.Gone) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.goneErr != nil {
		err := b.goneErr
		b.goneErr = nil
		return err
	}
	b.gone = append(b.gone, batch...)
	for _, g := range batch {
		b.told <- g
	}
	return nil
}

// goneWithin returns a link that was reported gone, the zero Gone when none is for so long.
func (b *backend) goneWithin(d time.Duration) link.Gone {
	select {
	case g := <-b.told:
		return g
	case <-time.After(d):
		return link.Gone{}
	}
}

func (b *backend) waitGone() link.Gone {
	b.t.Helper()
	select {
	case g := <-b.told:
		return g
	case <-time.After(patience):
		b.t.Fatal("no link was reported gone")
		return link.Gone{}
	}
}

// token makes a one-time link token of a caller.
func (b *backend) token(caller auth.Caller) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	tok := ident.New[string]()
	b.tokens[tok] = link.VerifiedSession{Caller: caller}
	return tok
}

// engine is a media engine that records what comes and says what it is told to.
type engine struct {
	refuse error

	mu      sync.Mutex
	handler media.Handler
	frames  chan wire.Type
	closed  chan media.Reason
	answer  error
}

func newEngine() *engine {
	return &engine{frames: make(chan wire.Type, 100), closed: make(chan media.Reason, 10)}
}

func (e *engine) Open(_ context.Context, _ media.Ticket, h media.Handler) (media.Session, error) {
	if e.refuse != nil {
		return nil, e.refuse
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handler = h
	return e, nil
}

func (e *engine) Handle(_ context.Context, t wire.Type, _ json.RawMessage) error {
	e.frames <- t
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.answer
}

func (e *engine) Close(r media.Reason) error {
	e.closed <- r
	return nil
}

func (e *engine) line() media.Handler {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.handler
}

// world is a Hub behind a real HTTP server on loopback.
type world struct {
	*backend
	hub    *link.Hub
	nudges *memcoord.Coord
	srv    *httptest.Server
	cancel context.CancelFunc
	ended  chan struct{}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func setup(tb testing.TB, cfg link.Config, tune ...func(*link.Deps, *link.Hub)) *world {
	tb.Helper()
	w := &world{backend: newBackend(tb), nudges: memcoord.New(time.Now), ended: make(chan struct{})}
	w.rooms = newEngine()
	cfg.Node = "n1"
	if cfg.Hosts == nil {
		cfg.Hosts = []string{"heyi.test", "127.0.0.1", "localhost"}
	}
	d := link.Deps{Verifier: w.backend, Presence: w.backend, Rooms: w.rooms, Streams: w.backend, Nudges: w.nudges, Logger: quiet(), Now: time.Now}
	for _, f := range tune {
		f(&d, nil)
	}
	w.hub = link.New(cfg, d)
	for _, f := range tune {
		f(nil, w.hub)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go func() {
		defer close(w.ended)
		_ = w.hub.Run(ctx)
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/v1", w.hub.ServeWS)
	mux.HandleFunc("/ws/rtc", w.hub.ServeRTC)
	w.srv = httptest.NewServer(mux)
	tb.Cleanup(func() {
		cancel()
		<-w.ended
		w.srv.Close()
	})
	<-w.hub.Started()
	return w
}

// client is the far end of a link.
type client struct {
	t    testing.TB
	ws   *websocket.Conn
	ch   wire.ChallengeBody
	wel  wire.WelcomeBody
	next uint64
}

func dialer() *websocket.Dialer {
	return &websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patience}
}

// dial opens a socket and reads the challenge.
func (w *world) dial(tb testing.TB, path string) *client {
	tb.Helper()
	return w.dialWith(tb, path, dialer())
}

func (w *world) dialWith(tb testing.TB, path string, d *websocket.Dialer) *client {
	tb.Helper()
	ws, res, err := d.DialContext(tb.Context(), "ws"+strings.TrimPrefix(w.srv.URL, "http")+path, nil)
	if err != nil {
		tb.Fatalf("dial: %v (%v)", err, res)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	c := &client{t: tb, ws: ws}
	tb.Cleanup(func() { _ = ws.Close() })
	c.expect(wire.Challenge, &c.ch)
	return c
}

// login opens the link of a device.
func (w *world) login(tb testing.TB, d *device) *client {
	tb.Helper()
	c := w.dial(tb, "/ws/v1")
	c.send(wire.Frame{T: wire.Connect}, d.connect(tb, c.ch))
	c.expect(wire.Welcome, &c.wel)
	return c
}

// page opens the link of a person.
func (w *world) page(tb testing.TB, caller auth.Caller, screen, instance string) *client {
	tb.Helper()
	c := w.dial(tb, "/ws/v1")
	c.send(wire.Frame{T: wire.Connect}, wire.ConnectBody{Auth: wire.AuthBody{
		Kind: "session", Token: w.token(caller), Screen: screen, Instance: instance,
	}})
	c.expect(wire.Welcome, &c.wel)
	return c
}

func (c *client) send(f wire.Frame, body any) {
	c.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	f.B = b
	src, err := wire.Append(nil, &f)
	if err != nil {
		c.t.Fatal(err)
	}
	c.raw(websocket.TextMessage, src)
}

func (c *client) raw(kind int, src []byte) {
	c.t.Helper()
	if err := c.ws.WriteMessage(kind, src); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next frame.
func (c *client) read() (wire.Frame, error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(patience))
	_, src, err := c.ws.ReadMessage()
	if err != nil {
		return wire.Frame{}, err
	}
	var f wire.Frame
	return f, wire.Decode(src, &f)
}

// expect reads the next frame, which must be of type t, into body.
func (c *client) expect(t wire.Type, body any) wire.Frame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", t, err)
	}
	if f.T != t {
		c.t.Fatalf("got %s %s, want %s", f.T, f.B, t)
	}
	if body != nil {
		if err := f.Body(body); err != nil {
			c.t.Fatal(err)
		}
	}
	return f
}

// closed reads until the close frame and returns its code and reason; frames before it are skipped.
func (c *client) closed() (int, string) {
	c.t.Helper()
	for {
		_, err := c.read()
		var ce *websocket.CloseError
		switch {
		case errors.As(err, &ce):
			return ce.Code, ce.Text
		case err != nil && !errors.Is(err, wire.ErrBadField):
			c.t.Fatalf("waiting for a close frame: %v", err)
		}
	}
}

// alive checks that the link answers.
func (c *client) alive() {
	c.t.Helper()
	c.next++
	id := c.next + 1_000_000
	c.send(wire.Frame{T: wire.Ping, ID: id}, struct{}{})
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("the link is not alive: %v", err)
		}
		if f.T == wire.Pong && f.Re == id {
			return
		}
	}
}

// smallBuffers makes a client that takes little before it must read.
func smallBuffers() *websocket.Dialer {
	d := dialer()
	d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		return c, err
	}
	return d
}

func jsonOf(tb testing.TB, v any) string {
	tb.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}
