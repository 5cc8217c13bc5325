// Package test runs whole nodes of Heyi, as cmd/heyi does, on a data folder of their own and free loopback ports, and
// speaks to them over real HTTP and websockets. It holds the faults that need no browser; those that do stand in
// kiosk-ui/e2e.
package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"heyi/cmd/heyi/app"
	"heyi/configs"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(nodeEnv); path != "" {
		os.Exit(runNode(path))
	}
	// nodes on PostgreSQL share it; the template of the tests' databases is sealed with this one
	if err := os.Setenv("HEYI_MASTER_KEY", base64.StdEncoding.EncodeToString([]byte(storetest.MasterKey))); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(tests{m})
}

// tests ends the PostgreSQL of the tests before leaks are looked for.
type tests struct{ *testing.M }

func (t tests) Run() int { return storetest.Run(t.M) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// node is a running process in demo mode.
type node struct {
	t    *testing.T
	cfg  configs.Config
	url  string
	http *http.Client
	stop func()
}

// demoConfig is a demo node on a fresh data folder and free ports.
func demoConfig(t *testing.T) configs.Config {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := configs.Default()
	c.Demo, c.Data, c.Node.Name = true, filepath.Join(t.TempDir(), "data"), "test"
	c.HTTP.Listen, c.Media.ListenUDP = l.Addr().String(), []string{"127.0.0.1:0"}
	c.HTTP.DrainTimeout = time.Second
	fonts := pdftest.Fonts(t)
	c.PDF = configs.PDF{Fonts: fonts.Regular, Bold: fonts.Bold}
	c.People.Argon2MiB, c.People.Argon2Time = 8, 1
	c.Log.Level = "error"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// attach speaks to a node of a configuration, wherever it runs.
func attach(t *testing.T, cfg configs.Config) *node {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // its own certificate, on loopback
	t.Cleanup(transport.CloseIdleConnections)
	return &node{t: t, cfg: cfg, url: "http://" + cfg.HTTP.Listen, http: &http.Client{Transport: transport, Timeout: patience}}
}

// start runs a node and waits until it is ready; it is stopped at the end of the test at the latest.
func start(t *testing.T, cfg configs.Config) *node {
	t.Helper()
	n := attach(t, cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, cfg, io.Discard) }()
	n.stop = func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		n.http.CloseIdleConnections()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the node ended with %v", err)
		}
	}
	t.Cleanup(n.stop)
	n.until("ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the node ended: %v", err)
		default:
		}
		status, _ := n.get("/readyz", nil)
		return status == http.StatusOK
	})
	return n
}

// until polls f, at most for patience.
func (n *node) until(what string, f func() bool) {
	n.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-end.C:
			n.t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// answer is what a call brought back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is the stable code of a problem.
func (a answer) code() string {
	var p struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(a.body, &p) != nil {
		return ""
	}
	return p.Code
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// call sends one request; status 0 means that nobody answered.
func (n *node) call(method, address string, header http.Header, body any) answer {
	n.t.Helper()
	var rd io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			n.t.Fatal(err)
		}
		rd = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, address, rd)
	if err != nil {
		n.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := n.http.Do(req)
	if err != nil {
		return answer{}
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		n.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: b}
}

func (n *node) get(path string, header http.Header) (int, []byte) {
	n.t.Helper()
	a := n.call(http.MethodGet, n.url+path, header, nil)
	return a.status, a.body
}

// demoFile is what demo mode leaves beside its data.
type demoFile struct {
	Staff []struct{ Login, Password string }
}

func (n *node) demo() demoFile {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.cfg.Data, "demo.json"))
	if err != nil {
		n.t.Fatal(err)
	}
	var d demoFile
	if err := json.Unmarshal(b, &d); err != nil {
		n.t.Fatal(err)
	}
	return d
}

// terminal is a television: it made its key itself and the demo gave it a place.
type terminal struct {
	n        *node
	key      *ecdsa.PrivateKey
	id, cred string
	access   string // bearer token of its live link
}

// claim enrols a television that sits on this machine, which the demo approves by itself.
func (n *node) claim() *terminal {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	d := &terminal{n: n, key: key}
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		n.t.Fatal(err)
	}
	serial := ident.New[string]()
	var claim struct {
		ClaimID string `json:"claim_id"`
		Secret  string `json:"secret"`
	}
	a := n.call(http.MethodPost, n.url+"/api/v1/claims", nil, map[string]any{
		"pub": base64.RawURLEncoding.EncodeToString(pub), "alg": "p256", "key_store": "soft", "serial": serial, "model": "test", "kind": "stb",
		"proof": base64.RawURLEncoding.EncodeToString(d.sign(wire.ClaimProof(pub, serial))), "app": map[string]string{"name": "test", "ver": "1"},
	})
	if a.status != http.StatusCreated {
		n.t.Fatalf("claim: %d %s", a.status, a.body)
	}
	a.into(n.t, &claim)
	a = n.call(http.MethodGet, n.url+"/api/v1/claims/"+claim.ClaimID, http.Header{"X-Claim-Secret": {claim.Secret}}, nil)
	var got struct {
		DeviceID string `json:"device_id"`
		Cred     string `json:"cred"`
	}
	if a.into(n.t, &got); a.status != http.StatusOK || got.Cred == "" {
		n.t.Fatalf("fetch the credential: %d %s", a.status, a.body)
	}
	d.id, d.cred = got.DeviceID, got.Cred
	return d
}

func (d *terminal) sign(text []byte) []byte {
	sum := sha256.Sum256(text)
	r, s, err := ecdsa.Sign(rand.Reader, d.key, sum[:])
	if err != nil {
		d.n.t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// link is one websocket.
type link struct {
	t  *testing.T
	ws *websocket.Conn
}

// dial opens a websocket and reads its challenge.
func (n *node) dial() (*link, wire.ChallengeBody) {
	n.t.Helper()
	return n.dialAt("/ws/v1")
}

func (n *node) dialAt(path string) (*link, wire.ChallengeBody) {
	n.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patience}
	ws, res, err := dialer.DialContext(n.t.Context(), "ws"+strings.TrimPrefix(n.url, "http")+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	_ = res.Body.Close()
	l := &link{t: n.t, ws: ws}
	n.t.Cleanup(func() { _ = ws.Close() })
	var ch wire.ChallengeBody
	l.expect(wire.Challenge, &ch)
	return l, ch
}

// connectFrame is the honest answer to a challenge.
func (d *terminal) connectFrame(ch wire.ChallengeBody) []byte {
	cnonce := make([]byte, 16)
	_, _ = rand.Read(cnonce)
	b, err := json.Marshal(wire.ConnectBody{BootID: "boot", App: wire.AppInfo{Name: "test", Ver: "1"}, Auth: wire.AuthBody{
		Kind: "device", DeviceID: d.id, Cred: d.cred, Alg: "p256", CNonce: cnonce,
		Sig: d.sign(wire.ConnectProof(ch.Server, ch.Nonce, cnonce, d.id, d.cred, nil)),
	}})
	if err != nil {
		d.n.t.Fatal(err)
	}
	f, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: wire.Connect, B: b})
	if err != nil {
		d.n.t.Fatal(err)
	}
	return f
}

// connect brings the terminal's link up.
func (d *terminal) connect() *link {
	d.n.t.Helper()
	l, ch := d.n.dial()
	l.write(websocket.TextMessage, d.connectFrame(ch))
	var w wire.WelcomeBody
	l.expect(wire.Welcome, &w)
	d.access = w.Access.Token
	return l
}

// do makes a REST call as the terminal.
func (d *terminal) do(method, path string, body any) answer {
	d.n.t.Helper()
	return d.n.call(method, d.n.url+"/api/v1"+path, http.Header{"Authorization": {"Bearer " + d.access}}, body)
}

// key is a new idempotency key.
func key() string { return ident.New[string]() }

// waits draws a ticket and returns its number.
func (d *terminal) waits() string {
	d.n.t.Helper()
	if a := d.do(http.MethodPost, "/visits", map[string]any{"key": key(), "how": "anonymous"}); a.status >= http.StatusMultipleChoices {
		d.n.t.Fatalf("visit: %d %s", a.status, a.body)
	}
	a := d.ticket()
	if a.status != http.StatusCreated {
		d.n.t.Fatalf("ticket: %d %s", a.status, a.body)
	}
	var t struct{ No string }
	a.into(d.n.t, &t)
	return t.No
}

func (d *terminal) ticket() answer {
	d.n.t.Helper()
	return d.do(http.MethodPost, "/tickets", map[string]any{"key": key(), "kind": "consult", "category": "wages", "lang": "zh"})
}

func (l *link) write(kind int, data []byte) {
	l.t.Helper()
	if err := l.ws.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		l.t.Fatal(err)
	}
	// a peer that closes while we write is seen by the next read
	_ = l.ws.WriteMessage(kind, data)
}

// read returns the next frame, or the code with which the link was closed.
func (l *link) read() (wire.Frame, int) {
	l.t.Helper()
	if err := l.ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
		l.t.Fatal(err)
	}
	_, data, err := l.ws.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return wire.Frame{}, closed.Code
	}
	if err != nil {
		l.t.Fatalf("read: %v", err)
	}
	var f wire.Frame
	if err := wire.Decode(data, &f); err != nil {
		l.t.Fatalf("%s: %v", data, err)
	}
	return f, 0
}

// expect reads on to a frame of type t.
func (l *link) expect(t wire.Type, body any) {
	l.t.Helper()
	for {
		f, code := l.read()
		if code != 0 {
			l.t.Fatalf("closed with %d instead of %s", code, t)
		}
		if f.T != t {
			continue
		}
		if body != nil {
			if err := f.Body(body); err != nil {
				l.t.Fatal(err)
			}
		}
		return
	}
}

// closed reads on to the close code.
func (l *link) closed() int {
	l.t.Helper()
	for {
		if _, code := l.read(); code != 0 {
			return code
		}
	}
}

// alive sends a ping and waits for its answer.
func (l *link) alive(id uint64) {
	l.t.Helper()
	l.write(websocket.TextMessage, fmt.Appendf(nil, `{"v":1,"t":"ping","id":%d,"b":{}}`, id))
	l.expect(wire.Pong, nil)
}
