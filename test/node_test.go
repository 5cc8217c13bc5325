package test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"heyi/cmd/heyi/app"
	"heyi/store/storetest"
)

func TestFrontDoor(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	cfg.HTTP.MetricsToken = "figures"
	n := start(t, cfg)

	status, body := n.get("/api/v1/openapi.yaml", nil)
	var doc struct {
		OpenAPI string         `yaml:"openapi"`
		Paths   map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(body, &doc); err != nil || status != http.StatusOK {
		t.Fatalf("openapi: %d, %v", status, err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Paths["/tickets"] == nil {
		t.Errorf("openapi %q describes %d paths, /tickets among them: %v", doc.OpenAPI, len(doc.Paths), doc.Paths["/tickets"] != nil)
	}

	forwarded := http.Header{"X-Forwarded-For": {"192.0.2.7"}}
	if status, body := n.get("/metrics", nil); status != http.StatusOK || !bytes.Contains(body, []byte("go_goroutines")) {
		t.Errorf("metrics from this machine: %d", status)
	}
	if status, _ := n.get("/metrics", forwarded); status != http.StatusNotFound {
		t.Errorf("metrics from elsewhere: %d, want 404", status)
	}
	wrong := http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Authorization": {"Bearer figure"}}
	if status, _ := n.get("/metrics", wrong); status != http.StatusNotFound {
		t.Errorf("metrics from elsewhere with a wrong token: %d, want 404", status)
	}
	right := http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Authorization": {"Bearer figures"}}
	if status, _ := n.get("/metrics", right); status != http.StatusOK {
		t.Errorf("metrics from elsewhere with the token: %d", status)
	}
}

func TestRestartOnTheSameDataKeepsEverything(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	n := start(t, cfg)
	before := n.demo()
	d := n.claim()
	l := d.connect()
	no := d.waits()
	again := d.ticket()
	if again.status != http.StatusConflict || again.code() != "queue.already_waiting" {
		t.Errorf("a second ticket: %d %s", again.status, again.body)
	}
	n.stop()
	if code := l.closed(); code == 0 {
		t.Error("the link outlived its node")
	}

	d.n = start(t, cfg)
	after := d.n.demo()
	if len(before.Staff) == 0 || !slices.Equal(before.Staff, after.Staff) {
		t.Errorf("the demo's passwords changed: %d people before, %d after", len(before.Staff), len(after.Staff))
	}
	for _, s := range before.Staff {
		a := d.n.call(http.MethodPost, d.n.url+"/api/v1/staff/login", nil, map[string]string{"login": s.Login, "password": s.Password})
		if a.status != http.StatusOK {
			t.Errorf("%s signs in with the old password: %d %s", s.Login, a.status, a.code())
		}
	}
	d.connect()
	var s struct {
		Ticket *struct{ No, State string }
	}
	a := d.do(http.MethodGet, "/situation", nil)
	if a.into(t, &s); s.Ticket == nil || s.Ticket.No != no || s.Ticket.State != "waiting" {
		t.Errorf("after the restart: %s, want %s waiting", a.body, no)
	}
}

func TestSecondProcessOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	other := demoConfig(t)
	other.Data = n.cfg.Data
	var out bytes.Buffer
	err := app.Run(t.Context(), other, &out)
	if err == nil || !strings.Contains(err.Error(), n.cfg.Data) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("err = %v, want one that names the folder and says what to do", err)
	}
	if out.Len() > 0 {
		t.Errorf("it printed %q", out.String())
	}
	if status, _ := n.get("/readyz", nil); status != http.StatusOK {
		t.Errorf("the first process: %d", status)
	}
}

func TestTLSKeepsItsCertificateAndSpeaksPlainToThisMachine(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	cfg.HTTP.TLS = true
	n := start(t, cfg)
	if status, _ := n.get("/api/v1/info", nil); status != http.StatusOK {
		t.Errorf("plain from this machine: %d", status)
	}
	far := n.call(http.MethodGet, n.url+"/api/v1/info", http.Header{"X-Forwarded-For": {"192.0.2.7"}}, nil)
	if far.status != http.StatusOK || !strings.Contains(string(far.body), `"tls":true`) {
		// the client followed 308 to https
		t.Errorf("plain from elsewhere is sent to https: %d %s", far.status, far.body)
	}
	first := fingerprint(t, cfg.HTTP.Listen)
	file := filepath.Join(cfg.Data, "tls.pem")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the certificate's mode is %v, want 0600: its key lies in the same file", info.Mode().Perm())
	}
	text, err := os.ReadFile(file) //nolint:gosec // our own folder
	if err != nil {
		t.Fatal(err)
	}
	if block, _ := pem.Decode(text); block == nil || sha256.Sum256(block.Bytes) != first {
		t.Error("the certificate on the wire is not the one that is kept")
	}
	l := n.claim().connect() // signs the server name it dialled: TLS mode changes nothing for pages on this machine
	l.alive(1)
	n.stop()
	start(t, cfg)
	if fingerprint(t, cfg.HTTP.Listen) != first {
		t.Error("a restart made another certificate: every phone would have to accept it again")
	}
}

func fingerprint(t *testing.T, addr string) [sha256.Size]byte {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}} //nolint:gosec // we ask which one it is
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatal("no TLS")
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != "h2" {
		t.Errorf("ALPN chose %q, want h2", p)
	}
	return sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw)
}

func TestDatabaseThatTakesNoWritesIsToldAndPasses(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	d := n.claim()
	d.connect()
	if a := d.do(http.MethodPost, "/visits", map[string]any{"key": key(), "how": "anonymous"}); a.status >= http.StatusMultipleChoices {
		t.Fatalf("visit: %d %s", a.status, a.body)
	}
	release, err := storetest.Hold(t.Context(), filepath.Join(n.cfg.Data, "heyi.db"))
	if err != nil {
		t.Fatal(err)
	}
	n.until("/readyz is 503", func() bool {
		status, _ := n.get("/readyz", nil)
		return status == http.StatusServiceUnavailable
	})
	a := d.ticket()
	if a.status != http.StatusServiceUnavailable || !strings.HasPrefix(a.code(), "store.") || a.header.Get("Retry-After") == "" ||
		!strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("a ticket meanwhile: %d %v %s", a.status, a.header, a.body)
	}
	if a := d.do(http.MethodGet, "/situation", nil); a.status != http.StatusOK {
		t.Errorf("reading goes on: %d %s", a.status, a.body)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	n.until("/readyz is 200", func() bool {
		status, _ := n.get("/readyz", nil)
		return status == http.StatusOK
	})
	if a := d.ticket(); a.status != http.StatusCreated {
		t.Errorf("a ticket afterwards: %d %s", a.status, a.body)
	}
}

func TestCaptureCodeIsGoodOnceAndForAWhile(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	cfg.Room.Capture = 3 * time.Second
	n := start(t, cfg)
	d := n.claim()
	d.connect()
	if a := d.do(http.MethodPost, "/visits", map[string]any{"key": key(), "how": "anonymous"}); a.status >= http.StatusMultipleChoices {
		t.Fatalf("visit: %d %s", a.status, a.body)
	}
	mint := func() (code map[string]string, end time.Time) {
		a := d.do(http.MethodPost, "/captures", map[string]any{"key": key()})
		var c struct {
			Code      string `json:"code"`
			ExpiresAt int64  `json:"expires_at"`
		}
		if a.into(t, &c); a.status != http.StatusCreated || c.Code == "" {
			t.Fatalf("capture: %d %s", a.status, a.body)
		}
		return map[string]string{"code": c.Code}, time.UnixMicro(c.ExpiresAt)
	}
	open := func(path string, body any) answer {
		return n.call(http.MethodPost, n.url+"/api/v1/captures/"+path, nil, body)
	}

	if a := open("peek", map[string]string{"code": "ZZZZ-ZZZZ"}); a.status != http.StatusNotFound || a.code() != "capture.unknown" {
		t.Errorf("a wrong code: %d %s", a.status, a.body)
	}
	once, _ := mint()
	if a := open("peek", once); a.status != http.StatusOK {
		t.Errorf("peek: %d %s", a.status, a.body)
	}
	if a := open("redeem", once); a.status != http.StatusCreated {
		t.Errorf("redeem: %d %s", a.status, a.body)
	}
	if a := open("redeem", once); a.status < 400 || a.status >= 500 || a.code() != "capture.spent" {
		t.Errorf("redeem again: %d %s, want capture.spent", a.status, a.body)
	}
	old, end := mint()
	n.until("the code has run out", func() bool { return time.Now().After(end) }) // asking costs: ten tries a minute
	if a := open("redeem", old); a.status != http.StatusGone || a.code() != "capture.expired" {
		t.Errorf("redeem after its time: %d %s, want capture.expired", a.status, a.body)
	}
}

func TestConfigurationThatCannotWorkEndsAtOnce(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	other := demoConfig(t)
	other.HTTP.Listen = n.cfg.HTTP.Listen
	if err := app.Run(t.Context(), other, io.Discard); err == nil || !strings.Contains(err.Error(), n.cfg.HTTP.Listen) {
		t.Errorf("err = %v, want one that names the port in use", err)
	}
}
