package gateway

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"heyi/gateway/auth"
)

// pageHeaders sets what every page and asset carries (ui.md §18).
func (s *Server) pageHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.csp(r))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Permissions-Policy", "camera=(self), microphone=(self)")
		if tokenPage(r.URL.Path) {
			h.Set("Referrer-Policy", "no-referrer")
		} else {
			h.Set("Referrer-Policy", "same-origin")
		}
		next.ServeHTTP(w, r)
	})
}

// tokenPage reports whether a path holds a one-use token: /join/<token>, /s/<token>, /c/<token>.
func tokenPage(path string) bool {
	return strings.HasPrefix(path, "/join/") || strings.HasPrefix(path, "/s/") || strings.HasPrefix(path, "/c/")
}

// csp is the content security policy of one page. Old engines do not count a websocket of the page's own host as
// 'self', so it is named.
func (s *Server) csp(r *http.Request) string {
	connect := []string{"'self'"}
	if plainHost(r.Host) {
		scheme := "ws://"
		if auth.ResolvePeer(r, s.cfg.Trusted).Secure {
			scheme = "wss://"
		}
		connect = append(connect, scheme+r.Host)
	}
	if s.cfg.Nodes != nil {
		connect = append(connect, s.cfg.Nodes()...)
	}
	style := "'self'"
	if desk(r.URL.Path) {
		style += " 'unsafe-inline'" // antd writes styles at run time
	}
	return "default-src 'self'; script-src 'self'; connect-src " + strings.Join(connect, " ") +
		"; media-src 'self' blob:; img-src 'self' data: blob:; style-src " + style +
		"; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
}

func desk(path string) bool {
	for _, p := range []string{"/desk", "/console", "/claim"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// plainHost reports whether a Host header holds nothing but a name or address with an optional port, so that it may
// stand in a header of ours.
func plainHost(host string) bool {
	for _, c := range host {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(".-:[]", c):
		default:
			return false
		}
	}
	return host != ""
}

// metricsOnly lets this machine and holders of the token read figures; to others there is nothing.
func (s *Server) metricsOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		byToken := s.cfg.MetricsToken != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.MetricsToken)) == 1
		if !byToken && !auth.ResolvePeer(r, s.cfg.Trusted).Loopback() {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
