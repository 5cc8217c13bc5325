// Package kioskui serves the screens: the pages that the two Vite builds leave in embed/, or a stub without a build.
//
// Pages are answered with no-cache, hashed files under /assets/ for a year; .br and .gz made at build are chosen by
// Accept-Encoding, nothing is compressed at run time. A missing file is 404 and never a page.
//
// Concurrency: a Handler is read-only after it was made and safe for concurrent use.
package kioskui

import (
	"embed"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:embed
var built embed.FS

// pages maps a route to its file; one-time links carry a token behind their route.
var pages = map[string]string{ //nolint:gochecknoglobals // a table that nobody writes
	"/":        "start.html",
	"/tv":      "tv.html",
	"/kiosk":   "kiosk.html",
	"/tablet":  "tablet.html",
	"/phone":   "phone.html",
	"/desk":    "desk.html",
	"/console": "console.html",
	"/claim":   "console.html",
	"/dead":    "dead.html",

	"/verify":     "verify.html",
	"/demo/texts": "texts.html",
}

// Handler returns the handler of all screens.
func Handler() http.Handler {
	root, err := fs.Sub(built, "embed")
	if err != nil {
		root = built // the folder is part of the binary: cannot happen
	}
	return serve{root}
}

type serve struct{ files fs.FS }

// ServeHTTP implements http.Handler.
func (s serve) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if name, ok := page(r.URL.Path); ok {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Referrer-Policy", "no-referrer") // a token in the path goes to nobody
		if !s.send(w, r, name) {
			s.send(w, r, "stub.html")
		}
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	switch {
	case strings.HasSuffix(name, ".html"), strings.HasSuffix(name, ".br"), strings.HasSuffix(name, ".gz"), strings.HasSuffix(name, "manifest.json"):
		http.NotFound(w, r)
		return
	case strings.HasPrefix(name, "assets/"):
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		w.Header().Set("Cache-Control", "no-cache")
	}
	if !s.send(w, r, name) {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
	}
}

// page returns the file of a route.
func page(route string) (string, bool) {
	for _, link := range []string{"/c/", "/join/", "/s/"} { // one-time links: camera of a TV, invited party, signature
		if token, ok := strings.CutPrefix(route, link); ok && token != "" && !strings.Contains(token, "/") {
			return pages["/phone"], true
		}
	}
	name, ok := pages[route]
	return name, ok
}

// send writes one file, in the best encoding that the caller takes; false when it does not exist.
func (s serve) send(w http.ResponseWriter, r *http.Request, name string) bool {
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	open := func(file string) (fs.File, int64) {
		f, err := s.files.Open(file)
		if err != nil {
			return nil, 0
		}
		st, err := f.Stat()
		if err != nil || st.IsDir() {
			_ = f.Close()
			return nil, 0
		}
		return f, st.Size()
	}
	var (
		f    fs.File
		size int64
		enc  string
	)
	for _, e := range []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(r.Header.Get("Accept-Encoding"), e.name) {
			continue
		}
		if f, size = open(name + e.suffix); f != nil {
			enc = e.name
			break
		}
	}
	if f == nil {
		if f, size = open(name); f == nil {
			return false
		}
	}
	defer func() { _ = f.Close() }() // read-only

	h := w.Header()
	ctype := mime.TypeByExtension(path.Ext(name))
	if ctype == "" {
		ctype = "application/octet-stream"
	}
	h.Set("Content-Type", ctype)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Add("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	if enc != "" {
		h.Set("Content-Encoding", enc)
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, f) // the caller may leave at any time
	}
	return true
}

// accepts reports whether an Accept-Encoding header takes an encoding; "q=0" refuses it (RFC 9110 §12.5.3).
func accepts(header, enc string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), enc) {
			continue
		}
		q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !ok {
			return true
		}
		v, err := strconv.ParseFloat(q, 64)
		return err == nil && v > 0
	}
	return false
}
