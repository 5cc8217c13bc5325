// Package gateway is the front door of a node: listeners, TLS, the mux and the order of the drain. It is the only
// package that builds an http.Server.
//
// One port serves everything: REST under /api/ (Fiber behind gateway/bridge), the links /ws/v1 and /ws/rtc, /healthz,
// /readyz, /metrics and else the screens. With TLS on, that port tells TLS from plain HTTP by the first byte: plain
// HTTP is served to this machine and to trusted proxies that speak TLS for us; everybody else is sent to https.
//
// Lifecycle: New binds the ports, Run serves until its context ends and then drains: readiness off, no new sockets,
// going_away to links, wait, close.
package gateway

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heyi/gateway/auth"
	"heyi/gateway/bridge"
	"heyi/gateway/link"
	"heyi/gateway/rest"
	"heyi/internal/fault"
)

// Config says where and how the door stands open.
type Config struct {
	Listen  string          // the application port, "127.0.0.1:8443"; port 0 takes a free one
	Plain   string          // optional second port that only redirects and serves /clock; empty: none
	TLS     TLS             // how the application port speaks TLS
	Trusted []netip.Prefix  // proxies whose forwarding headers count
	Nodes   func() []string // origins of nodes that pages connect to ("wss://m1.example:7443"), asked for every page; nil: none

	MetricsToken string // opens /metrics to other peers than this machine; empty: none

	DrainWindow func(links int) time.Duration // how long so many links may take to leave by themselves; nil: 3 s
	DrainMax    time.Duration                 // after which everything is closed; 8 s
}

// Deps are what the door leads to. All but Coord must be set.
type Deps struct {
	API     *rest.API
	Hub     *link.Hub
	UI      http.Handler
	Ready   func(context.Context) error   // the store answers and takes writes
	Coord   func() (state, reason string) // "ok" or "degraded": whether this node hears the others; nil: it has none
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
	Now     func() time.Time
}

// Times of the HTTP server. A long poll takes 25 s and the import of a large fleet some, so answers get a minute.
const (
	readHeaderTime = 10 * time.Second
	readTime       = time.Minute
	writeTime      = 90 * time.Second
	idleTime       = 2 * time.Minute
	readyFor       = time.Second // an answer of Deps.Ready is kept so long: strangers cause no writes
)

// Server is the front door of one node.
type Server struct {
	cfg      Config
	d        Deps
	tls      *tls.Config // nil: plain
	listener net.Listener
	plain    net.Listener
	draining atomic.Bool
	ready    readiness
}

// New binds the ports and loads or makes the certificate.
func New(ctx context.Context, cfg Config, d Deps) (*Server, error) {
	if cfg.DrainWindow == nil {
		cfg.DrainWindow = func(int) time.Duration { return 3 * time.Second }
	}
	cfg.DrainMax = cmp.Or(cfg.DrainMax, 8*time.Second)
	s := &Server{cfg: cfg, d: d}
	var err error
	if s.tls, err = cfg.TLS.config(ctx, d.Logger, d.Now()); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if s.tls != nil {
		s.listener = newSniffer(s.listener, s.tls)
	}
	if cfg.Plain != "" {
		if s.plain, err = lc.Listen(ctx, "tcp", cfg.Plain); err != nil {
			_ = s.listener.Close()
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	return s, nil
}

// Addr is the address of the application port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// PlainAddr is the address of the redirecting port, nil when there is none.
func (s *Server) PlainAddr() net.Addr {
	if s.plain == nil {
		return nil
	}
	return s.plain.Addr()
}

// Secure reports whether the application port speaks TLS.
func (s *Server) Secure() bool { return s.tls != nil }

// Run serves until ctx ends, then drains and waits for everything it started.
func (s *Server) Run(ctx context.Context) error {
	// links and requests outlive ctx: they end in the order of the drain
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	servers := []*http.Server{s.server(inner, s.Handler())}
	listeners := []net.Listener{s.listener}
	if s.plain != nil {
		servers = append(servers, s.server(inner, s.redirectOnly()))
		listeners = append(listeners, s.plain)
	}
	hubCtx, stopHub := context.WithCancel(inner)
	defer stopHub()
	var hub, serving sync.WaitGroup
	hub.Go(func() { _ = s.d.Hub.Run(hubCtx) }) // ends with its context only
	failed := make(chan error, len(servers))
	for i, srv := range servers {
		serving.Go(func() {
			if err := srv.Serve(listeners[i]); !s.draining.Load() {
				failed <- fmt.Errorf("gateway: %w", err)
			}
		})
	}
	s.d.Logger.InfoContext(ctx, "listening", slog.String("addr", s.Addr().String()), slog.Bool("tls", s.Secure()))
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain(inner, servers, listeners, stop)
	stopHub()
	hub.Wait()
	serving.Wait()
	return err
}

// Retire turns readiness off, so that balancers send nobody new; who comes all the same is served. Run's context ends
// what is left.
func (s *Server) Retire() { s.draining.Store(true) }

// drain closes the door: readiness off, nothing accepted, links told and waited for, requests finished, the rest cut.
func (s *Server) drain(ctx context.Context, servers []*http.Server, listeners []net.Listener, cancelRequests func()) {
	s.draining.Store(true)
	for _, l := range listeners {
		_ = l.Close()
	}
	links := s.d.Hub.Links()
	window := min(s.cfg.DrainWindow(links), s.cfg.DrainMax*3/4) // the rest is for those who did not go
	s.d.Logger.InfoContext(ctx, "draining", slog.Int("links", links), slog.Duration("window", window))
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainMax)
	defer cancel()
	s.d.Hub.Drain(end, "deploy", window)
	for _, srv := range servers {
		soon, cancelSoon := context.WithTimeout(end, time.Second)
		err := srv.Shutdown(soon)
		cancelSoon()
		if err != nil {
			cancelRequests() // long polls end now
			if srv.Shutdown(end) != nil {
				_ = srv.Close()
			}
		}
	}
}

func (s *Server) server(base context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: s.tls.Clone(), // net/http writes into it
		ReadHeaderTimeout: readHeaderTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: 16 << 10,
		BaseContext:    func(net.Listener) context.Context { return base },
		// handshakes that strangers break off are no news
		ErrorLog: slog.NewLogLogger(s.d.Logger.Handler(), slog.LevelDebug),
	}
}

// Handler is everything behind the application port.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", bridge.New(s.d.API.App, bridge.Config{
		Limit: s.d.API.BodyLimit, Trusted: s.cfg.Trusted,
		TooLarge: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rest.WriteProblem(w, fault.New(fault.Invalid, "request.too_large"))
		}),
	}))
	mux.HandleFunc("/ws/v1", s.d.Hub.ServeWS)
	mux.HandleFunc("/ws/rtc", s.d.Hub.ServeRTC)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metricsOnly(promhttp.HandlerFor(s.d.Metrics, promhttp.HandlerOpts{})))
	mux.Handle("/", s.pageHeaders(s.d.UI))
	return s.secureOnly(mux)
}

// secureOnly sends plain requests to https, except those of this machine and those that a trusted proxy received
// over TLS.
func (s *Server) secureOnly(next http.Handler) http.Handler {
	if s.tls == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			peer := auth.ResolvePeer(r, s.cfg.Trusted)
			if !peer.Secure && !peer.Loopback() {
				s.redirect(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// redirect answers 308, which keeps method and body.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if tcp, ok := s.listener.Addr().(*net.TCPAddr); ok && tcp.Port != 443 {
		host = fmt.Sprintf("%s:%d", host, tcp.Port)
	}
	w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// redirectOnly is what the plain port serves.
func (s *Server) redirectOnly() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /clock", func(w http.ResponseWriter, _ *http.Request) {
		// a terminal with a wrong clock cannot judge a certificate, so this is plain
		writeJSON(w, http.StatusOK, map[string]int64{"now_at": s.d.Now().UnixMicro()})
	})
	mux.HandleFunc("/", s.redirect)
	return mux
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	body := map[string]any{"status": "ok", "links": s.d.Hub.Links(), "draining": s.draining.Load(), "coord": "ok"}
	if s.d.Coord != nil {
		state, reason := s.d.Coord()
		if body["coord"] = state; reason != "" {
			body["coord_reason"] = reason
		}
	}
	writeJSON(w, http.StatusOK, body)
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.draining.Load():
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
	case !s.d.Hub.Ready():
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "starting"})
	default:
		if err := s.ready.ask(r.Context(), s.d.Ready, s.d.Now()); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": fault.CodeOf(err)})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

// readiness keeps the last answer for a moment.
type readiness struct {
	mu    sync.Mutex
	at    time.Time
	err   error
	asked bool
}

func (r *readiness) ask(ctx context.Context, f func(context.Context) error, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked && now.Sub(r.at) < readyFor {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	r.asked, r.at, r.err = true, now, f(ctx)
	if errors.Is(r.err, context.DeadlineExceeded) {
		r.err = fault.Wrap(fault.Unavailable, "store.slow", r.err)
	}
	return r.err
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
