package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"heyi/gateway"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/rest"
	"heyi/gateway/wire"
	"heyi/internal/coord/memcoord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// nobody is a Verifier, Presence and Authenticator that knows one link token.
type nobody struct{}

func (nobody) Device(context.Context, link.DeviceProof) (link.VerifiedDevice, error) {
	return link.VerifiedDevice{}, fault.New(fault.NotFound, link.CodeUnknownDevice)
}

func (nobody) Session(_ context.Context, token, screen, instance string, _ time.Time) (link.VerifiedSession, error) {
	if token != "t" {
		return link.VerifiedSession{}, fault.New(fault.Conflict, link.CodeTokenUsed)
	}
	return link.VerifiedSession{Caller: auth.Caller{Kind: auth.Staff, StaffID: "s1"}, Screen: screen, Instance: instance}, nil
}

func (nobody) Room(context.Context, string, time.Time) (media.Ticket, error) {
	return media.Ticket{}, fault.New(fault.Expired, "rtc.ticket_expired")
}

func (nobody) Access(context.Context, ident.DeviceID, string, int64, time.Time) (wire.AccessBody, error) {
	return wire.AccessBody{}, nil
}

func (nobody) Connect(context.Context, []link.ConnectRequest) []link.ConnectResult { return nil }
func (nobody) Gone(context.Context, []link.Gone) error                             { return nil }

type noCallers struct{}

func (noCallers) Device(context.Context, string) (auth.Caller, error) {
	return auth.Caller{}, fault.New(fault.Unauthenticated, "auth.required")
}

func (noCallers) Staff(context.Context, string) (auth.Caller, string, error) {
	return auth.Caller{}, "", fault.New(fault.Unauthenticated, "auth.required")
}

func (noCallers) Capture(context.Context, string) (auth.Caller, string, error) {
	return auth.Caller{}, "", fault.New(fault.Unauthenticated, "auth.required")
}

func (noCallers) Party(context.Context, string) (auth.Caller, string, error) {
	return auth.Caller{}, "", fault.New(fault.Unauthenticated, "auth.required")
}

// area has a long poll, so that the drain has something to end.
type area struct{ polling chan struct{} }

func (a area) Routes(r *rest.Router) {
	r.Get("/poll", rest.Anyone(), func(c *fiber.Ctx) error {
		close(a.polling)
		<-c.UserContext().Done()
		return fault.New(fault.Unavailable, "poll.over")
	})
	r.Post("/echo", rest.Anyone(), func(c *fiber.Ctx) error { return c.SendString(rest.Peer(c).Addr.String()) })
}

// world is a running front door.
type world struct {
	*gateway.Server
	stop    context.CancelFunc
	ended   chan error
	ready   atomic.Pointer[error] // what the store says
	asked   atomic.Int64
	polling chan struct{}
	client  *http.Client
	trust   *x509.CertPool
}

func setup(t *testing.T, cfg gateway.Config) *world {
	t.Helper()
	w := &world{ended: make(chan error, 1), polling: make(chan struct{}), trust: x509.NewCertPool()}
	logger := slog.New(slog.DiscardHandler)
	reg := prometheus.NewRegistry()
	api, err := rest.New(rest.Deps{
		Auth: noCallers{}, Logger: logger, Now: time.Now,
		Info: func(context.Context) (rest.Info, error) { return rest.Info{Node: "n1"}, nil },
	}, area{w.polling})
	if err != nil {
		t.Fatal(err)
	}
	hub := link.New(link.Config{Node: "n1", Hosts: []string{"127.0.0.1", "localhost"}}, link.Deps{
		Verifier: nobody{}, Presence: nobody{}, Nudges: memcoord.New(time.Now), Metrics: reg, Logger: logger, Now: time.Now,
	})
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	w.Server, err = gateway.New(t.Context(), cfg, gateway.Deps{
		API: api, Hub: hub, Metrics: reg, Logger: logger, Now: time.Now,
		UI: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }),
		Ready: func(context.Context) error {
			w.asked.Add(1)
			if err := w.ready.Load(); err != nil {
				return *err
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	go func() { w.ended <- w.Run(ctx) }()
	<-hub.Started()
	if cfg.TLS.Dir != "" {
		w.trustFile(t, filepath.Join(cfg.TLS.Dir, "tls.pem"))
	}
	tr := &http.Transport{TLSClientConfig: w.tls(), ForceAttemptHTTP2: true}
	w.client = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		cancel()
		select {
		case err := <-w.ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(2 * patience):
			t.Error("Run does not end")
		}
		tr.CloseIdleConnections()
	})
	return w
}

func (w *world) tls() *tls.Config {
	return &tls.Config{RootCAs: w.trust, MinVersion: tls.VersionTLS12}
}

func (w *world) trustFile(t *testing.T, file string) {
	t.Helper()
	src, err := os.ReadFile(file) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	if !w.trust.AppendCertsFromPEM(src) {
		t.Fatal("no certificate in the file")
	}
}

// answer is a response whose body was read.
type answer struct {
	StatusCode int
	Proto      string
	ProtoMajor int
	Header     http.Header
}

func (w *world) get(t *testing.T, url string, header ...string) (answer, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	res, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Proto, res.ProtoMajor, res.Header}, string(b)
}

func TestOnePortSpeaksBoth(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{TLS: gateway.TLS{Dir: t.TempDir()}})
	addr := w.Addr().String()
	res, body := w.get(t, "https://"+addr+"/api/v1/info")
	if res.StatusCode != 200 || !strings.Contains(body, `"tls":true`) || res.ProtoMajor != 2 {
		t.Errorf("TLS: %d %s %s", res.StatusCode, res.Proto, body)
	}
	res, body = w.get(t, "http://"+addr+"/api/v1/info")
	if res.StatusCode != 200 || !strings.Contains(body, `"tls":false`) {
		t.Errorf("plain from this machine: %d %s", res.StatusCode, body)
	}
	// a proxy of this machine that nobody trusts is no reason to serve strangers in plain
	res, _ = w.get(t, "http://"+addr+"/tv?x=1", "X-Forwarded-For", "203.0.113.9")
	if res.StatusCode != http.StatusPermanentRedirect || res.Header.Get("Location") != "https://"+addr+"/tv?x=1" {
		t.Errorf("plain with a forwarding header: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://heyi.example/tv", http.NoBody)
	r.RemoteAddr = "203.0.113.9:1234"
	w.Handler().ServeHTTP(rec, r)
	_, port, _ := net.SplitHostPort(addr)
	if rec.Code != http.StatusPermanentRedirect || rec.Header().Get("Location") != "https://heyi.example:"+port+"/tv" {
		t.Errorf("plain from a stranger: %d %s", rec.Code, rec.Header().Get("Location"))
	}
	for _, scheme := range []string{"ws://", "wss://"} {
		d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, TLSClientConfig: w.tls()}
		ws, res, err := d.DialContext(t.Context(), scheme+addr+"/ws/v1", nil)
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		_ = res.Body.Close()
		var f wire.Frame
		if err := ws.ReadJSON(&f); err != nil || f.T != wire.Challenge {
			t.Errorf("%s: %v %v", scheme, f.T, err)
		}
		_ = ws.Close()
	}
}

func TestSilentSocketsHoldUpNobody(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{TLS: gateway.TLS{Dir: t.TempDir()}})
	for range 50 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	if res, _ := w.get(t, "https://"+w.Addr().String()+"/healthz"); res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
	w.stop()
	select {
	case err := <-w.ended:
		w.ended <- err
	case <-time.After(patience):
		t.Fatal("silent sockets keep Run from ending")
	}
}

func TestSelfSignedCertificateIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tls.pem")
	open := func(names ...string) *x509.Certificate {
		t.Helper()
		w := setup(t, gateway.Config{TLS: gateway.TLS{Dir: dir, Names: names}})
		c, err := (&tls.Dialer{Config: w.tls()}).DialContext(t.Context(), "tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0] //nolint:forcetypeassert // a tls.Dialer makes nothing else
	}
	first := open()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if err := first.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if again := open(); !again.Equal(first) {
		t.Error("made anew although it covers everything")
	}
	other := open("heyi.example")
	if other.Equal(first) || other.VerifyHostname("heyi.example") != nil {
		t.Error("not made anew for a new name")
	}
	// somebody wrote rubbish into it
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "X"}), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken := open(); broken.Equal(other) {
		t.Error("a broken file was used")
	}
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{})
	base := "http://" + w.Addr().String()
	if res, body := w.get(t, base+"/healthz"); res.StatusCode != 200 || !strings.Contains(body, `"links":0`) {
		t.Errorf("healthz %d %s", res.StatusCode, body)
	}
	for range 20 {
		if res, body := w.get(t, base+"/readyz"); res.StatusCode != 200 {
			t.Errorf("readyz %d %s", res.StatusCode, body)
		}
	}
	if n := w.asked.Load(); n > 10 {
		t.Errorf("20 questions of strangers caused %d writes", n)
	}
	down := error(fault.New(fault.Unavailable, "store.read_only"))
	w.ready.Store(&down)
	deadline := time.Now().Add(patience)
	for {
		res, body := w.get(t, base+"/readyz")
		if res.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, "store.read_only") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz %d %s", res.StatusCode, body)
		}
	}
	if res, _ := w.get(t, base+"/healthz"); res.StatusCode != 200 {
		t.Errorf("a store that is down must not restart the process: healthz %d", res.StatusCode)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{MetricsToken: "secret"})
	base := "http://" + w.Addr().String()
	w.get(t, base+"/ws/v1") // a refusal to count
	res, body := w.get(t, base+"/metrics")
	if res.StatusCode != 200 || !strings.Contains(body, `heyi_link_refusals_total{reason="subprotocol"} 1`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	ask := func(header ...string) int {
		rec := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		r.RemoteAddr = "203.0.113.9:1234"
		for pair := range slices.Chunk(header, 2) {
			r.Header.Set(pair[0], pair[1])
		}
		w.Handler().ServeHTTP(rec, r)
		return rec.Code
	}
	if got := ask(); got != 404 {
		t.Errorf("a stranger: %d", got)
	}
	if got := ask("Authorization", "Bearer wrong"); got != 404 {
		t.Errorf("a wrong token: %d", got)
	}
	if got := ask("Authorization", "Bearer secret"); got != 200 {
		t.Errorf("the right token: %d", got)
	}
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{Nodes: func() []string { return []string{"wss://m1.example"} }})
	host := w.Addr().String()
	csp := func(style string) string {
		return "default-src 'self'; script-src 'self'; connect-src 'self' ws://" + host + " wss://m1.example; " +
			"media-src 'self' blob:; img-src 'self' data: blob:; style-src " + style +
			"; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
	}
	for path, want := range map[string][2]string{
		"/tv":           {csp("'self'"), "same-origin"},
		"/desk":         {csp("'self' 'unsafe-inline'"), "same-origin"},
		"/console/list": {csp("'self' 'unsafe-inline'"), "same-origin"},
		"/claim":        {csp("'self' 'unsafe-inline'"), "same-origin"},
		"/desks":        {csp("'self'"), "same-origin"},
		"/c/token":      {csp("'self'"), "no-referrer"},
	} {
		res, body := w.get(t, "http://"+host+path)
		if got := res.Header.Get("Content-Security-Policy"); got != want[0] || body != "page" {
			t.Errorf("%s: CSP %s", path, got)
		}
		if got := res.Header.Get("Referrer-Policy"); got != want[1] {
			t.Errorf("%s: Referrer-Policy %s", path, got)
		}
		if got := res.Header.Get("Permissions-Policy"); got != "camera=(self), microphone=(self)" {
			t.Errorf("%s: Permissions-Policy %s", path, got)
		}
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/tv", http.NoBody)
	r.Host = "x; script-src *"
	w.Handler().ServeHTTP(rec, r)
	if got := rec.Header().Get("Content-Security-Policy"); strings.Contains(got, "*") {
		t.Errorf("a Host header wrote into the policy: %s", got)
	}
}

func TestTooLargeIsAProblem(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.Addr().String()+"/api/v1/echo", strings.NewReader(strings.Repeat("x", rest.MaxJSON+1)))
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var p rest.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != 413 || p.Code != "request.too_large" {
		t.Errorf("%d %+v %v", res.StatusCode, p, err)
	}
}

func TestRedirectingPort(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{Plain: "127.0.0.1:0", TLS: gateway.TLS{Dir: t.TempDir()}})
	base := "http://" + w.PlainAddr().String()
	_, port, _ := net.SplitHostPort(w.Addr().String())
	res, _ := w.get(t, base+"/tv?a=b")
	if want := "https://127.0.0.1:" + port + "/tv?a=b"; res.StatusCode != 308 || res.Header.Get("Location") != want {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	res, body := w.get(t, base+"/clock")
	var clock struct {
		NowAt int64 `json:"now_at"`
	}
	if err := json.Unmarshal([]byte(body), &clock); err != nil || res.StatusCode != 200 || time.Since(time.UnixMicro(clock.NowAt)).Abs() > time.Minute {
		t.Errorf("clock: %d %s", res.StatusCode, body)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{DrainWindow: func(int) time.Duration { return 200 * time.Millisecond }})
	addr := w.Addr().String()
	d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}}
	ws, res, err := d.DialContext(t.Context(), "ws://"+addr+"/ws/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	defer func() { _ = ws.Close() }()
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	read := func() (wire.Frame, error) {
		_, src, err := ws.ReadMessage()
		if err != nil {
			return wire.Frame{}, err
		}
		var f wire.Frame
		return f, wire.Decode(src, &f)
	}
	if f, err := read(); err != nil || f.T != wire.Challenge {
		t.Fatal(f.T, err)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"v":1,"t":"connect","b":{"auth":{"kind":"session","token":"t","screen":"desk","instance":"i"}}}`)); err != nil {
		t.Fatal(err)
	}
	if f, err := read(); err != nil || f.T != wire.Welcome {
		t.Fatal(f.T, err)
	}
	polled := make(chan int, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/api/v1/poll", http.NoBody)
		if err != nil {
			polled <- 0
			return
		}
		res, err := w.client.Do(r)
		if err != nil {
			polled <- 0
			return
		}
		_ = res.Body.Close()
		polled <- res.StatusCode
	}()
	<-w.polling
	w.stop()
	if f, err := read(); err != nil || f.T != wire.GoingAway {
		t.Fatal(f.T, err)
	}
	// the link is told before anything else ends; nothing new is accepted
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", addr); err == nil {
		_ = c.Close()
		t.Error("a socket was accepted in the drain")
	}
	_, err = read()
	var ce *websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != wire.CloseGoingAway {
		t.Errorf("the link ended with %v", err)
	}
	_ = ws.Close()
	if status := <-polled; status != http.StatusServiceUnavailable {
		t.Errorf("the long poll was answered with %d", status)
	}
	select {
	case err := <-w.ended:
		w.ended <- err
	case <-time.After(patience):
		t.Fatal("the drain does not end")
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	w := setup(t, gateway.Config{})
	_, err := gateway.New(t.Context(), gateway.Config{Listen: w.Addr().String()}, gateway.Deps{Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err == nil {
		t.Error("no error")
	}
}
