package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	"heyi/gateway/auth"
	"heyi/gateway/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const limit = 1024

// world is one app behind the bridge.
type world struct {
	*httptest.Server
	stream    chan string   // what the streaming route shall write next
	cancelled chan struct{} // closed when the hanging route saw its client go
	hanging   chan struct{} // closed when the hanging route runs
}

func setup(t *testing.T, tls bool, trusted ...netip.Prefix) *world {
	t.Helper()
	w := &world{stream: make(chan string), cancelled: make(chan struct{}), hanging: make(chan struct{})}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: limit, Immutable: true})
	app.Use(func(c *fiber.Ctx) error {
		if ctx, ok := c.Locals(auth.BridgeKey).(context.Context); ok {
			c.SetUserContext(ctx)
		}
		return c.Next()
	})
	app.Get("/echo", func(c *fiber.Ctx) error {
		out := map[string][]string{}
		for k, v := range c.Request().Header.All() {
			out[string(k)] = append(out[string(k)], string(v))
		}
		c.Response().Header.Add("Set-Cookie", "a=1")
		c.Response().Header.Add("Set-Cookie", "b=2")
		c.Response().Header.Add("X-Many", "one")
		c.Response().Header.Add("X-Many", "two")
		return c.JSON(out)
	})
	app.Post("/len", func(c *fiber.Ctx) error { return c.SendString(strconv.Itoa(len(c.Body()))) })
	app.Get("/stream", func(c *fiber.Ctx) error {
		c.Response().SetBodyStreamWriter(func(out *bufio.Writer) {
			for s := range w.stream {
				_, _ = out.WriteString(s)
				if out.Flush() != nil {
					return
				}
			}
		})
		return nil
	})
	app.Get("/hang", func(c *fiber.Ctx) error {
		close(w.hanging)
		<-c.UserContext().Done()
		close(w.cancelled)
		return nil
	})
	app.Get("/peer", func(c *fiber.Ctx) error {
		p := auth.PeerOf(c.UserContext())
		return c.JSON([]string{p.Addr.String(), c.IP(), strconv.FormatBool(c.Secure()), strconv.FormatBool(p.Direct), p.Host})
	})
	app.Get("/status", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusTeapot) })
	app.Get("/query", func(c *fiber.Ctx) error { return c.SendString(c.Query("q") + "|" + c.Path()) })
	h := bridge.New(app, bridge.Config{
		Limit:    func(string, string) int64 { return limit },
		TooLarge: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "ours", http.StatusRequestEntityTooLarge) }),
		Trusted:  trusted,
	})
	w.Server = httptest.NewUnstartedServer(h)
	if tls {
		w.StartTLS()
	} else {
		w.Start()
	}
	t.Cleanup(w.Close)
	return w
}

// answer is a response whose body was read.
type answer struct {
	StatusCode int
	Header     http.Header
	Cookies    []*http.Cookie
}

func (w *world) do(t *testing.T, method, path string, body io.Reader, header http.Header) (answer, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	res, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.Cookies()}, string(b)
}

func TestRepeatedHeadersBothWays(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	res, body := w.do(t, http.MethodGet, "/echo", nil, http.Header{"X-In": {"a", "b"}, "Cookie": {"c=1; d=2"}})
	var in map[string][]string
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		t.Fatal(err)
	}
	if got := in["X-In"]; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the app saw X-In %v", got)
	}
	if got := in["Cookie"]; !slices.Equal(got, []string{"c=1; d=2"}) {
		t.Errorf("the app saw Cookie %v", got)
	}
	if got := res.Header.Values("X-Many"); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the client saw X-Many %v", got)
	}
	names := []string{}
	for _, c := range res.Cookies {
		names = append(names, c.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("the client saw cookies %v", names)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	tests := map[string]struct {
		body   io.Reader
		status int
		answer string
	}{
		"empty":                      {http.NoBody, 200, "0"},
		"exactly the limit":          {strings.NewReader(strings.Repeat("x", limit)), 200, "1024"},
		"one more":                   {strings.NewReader(strings.Repeat("x", limit+1)), 413, "ours\n"},
		"chunked, exactly the limit": {io.MultiReader(strings.NewReader(strings.Repeat("x", limit))), 200, "1024"},
		"chunked, far more":          {io.MultiReader(strings.NewReader(strings.Repeat("x", 100*limit))), 413, "ours\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, body := w.do(t, http.MethodPost, "/len", tt.body, nil)
			if res.StatusCode != tt.status || body != tt.answer {
				t.Errorf("%d %q, want %d %q", res.StatusCode, body, tt.status, tt.answer)
			}
		})
	}
}

func TestStreamIsFlushedPieceByPiece(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() { w.stream <- "first" }()
	res, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	buf := make([]byte, 16)
	for _, want := range []string{"first", "second"} {
		if want == "second" {
			w.stream <- want
		}
		// the stream is still open: a bridge that buffers would hang here
		if _, err := io.ReadFull(res.Body, buf[:len(want)]); err != nil || string(buf[:len(want)]) != want {
			t.Fatalf("read %q, %v", buf[:len(want)], err)
		}
	}
	close(w.stream)
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestClientGoneCancels(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/hang", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, err := w.Client().Do(r)
		if err == nil {
			_ = res.Body.Close()
			t.Error("the request was answered")
		}
	}()
	<-w.hanging
	cancel()
	select {
	case <-w.cancelled:
	case <-time.After(5 * time.Second):
		t.Fatal("the handler did not hear that its client went")
	}
	<-done
}

func TestPeer(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.9.0.0/16")}
	forged := http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}}
	tests := map[string]struct {
		tls     bool
		trusted []netip.Prefix
		header  http.Header
		want    [5]string // address, c.IP, secure, direct, host
	}{
		"plain":                                {want: [5]string{"127.0.0.1", "127.0.0.1", "false", "true", "127.0.0.1"}},
		"TLS":                                  {tls: true, want: [5]string{"127.0.0.1", "127.0.0.1", "true", "true", "127.0.0.1"}},
		"a stranger's forwarding headers":      {header: forged, want: [5]string{"127.0.0.1", "127.0.0.1", "false", "false", "127.0.0.1"}},
		"a stranger's Forwarded":               {header: http.Header{"Forwarded": {"for=203.0.113.7;proto=https"}}, want: [5]string{"127.0.0.1", "127.0.0.1", "false", "false", "127.0.0.1"}},
		"a trusted proxy's headers":            {trusted: proxies, header: forged, want: [5]string{"203.0.113.7", "203.0.113.7", "true", "false", "evil.example"}},
		"a chain: what the client wrote is no": {trusted: proxies, header: http.Header{"X-Forwarded-For": {"1.2.3.4, 203.0.113.7", "10.9.1.1"}}, want: [5]string{"203.0.113.7", "203.0.113.7", "false", "false", "127.0.0.1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, tt.tls, tt.trusted...)
			_, body := w.do(t, http.MethodGet, "/peer", nil, tt.header.Clone())
			var got [5]string
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestForgedHeadersNeverReachTheApp(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	_, body := w.do(t, http.MethodGet, "/echo", nil, http.Header{
		"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Anything": {"x"}, "Forwarded": {"for=x"}, "X-Real-Ip": {"203.0.113.7"},
	})
	for _, s := range []string{"203.0.113.7", "Forwarded"} {
		if strings.Contains(body, s) {
			t.Errorf("the app saw %s in %s", s, body)
		}
	}
}

func TestStatusQueryAndHead(t *testing.T) {
	t.Parallel()
	w := setup(t, false)
	if res, _ := w.do(t, http.MethodGet, "/status", nil, nil); res.StatusCode != http.StatusTeapot {
		t.Errorf("status %d", res.StatusCode)
	}
	if _, body := w.do(t, http.MethodGet, "/query?q=%E5%92%8C&x=1", nil, nil); body != "和|/query" {
		t.Errorf("query %q", body)
	}
	if res, body := w.do(t, http.MethodHead, "/query?q=1", nil, nil); res.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD: %d %q", res.StatusCode, body)
	}
}
