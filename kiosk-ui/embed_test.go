package kioskui

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func files() fstest.MapFS {
	return fstest.MapFS{
		"stub.html":              {Data: []byte("界面还没有编译，请运行 make run")},
		"tv.html":                {Data: []byte("tv page")},
		"phone.html":             {Data: []byte("phone page")},
		"console.html":           {Data: []byte("console page")},
		"verify.html":            {Data: []byte("verify page")},
		"assets/light/a-1.js":    {Data: []byte("plain")},
		"assets/light/a-1.js.br": {Data: []byte("brotli")},
		"assets/light/a-1.js.gz": {Data: []byte("gzip")},
		"assets/light/b-2.css":   {Data: []byte("b{}")},
		".keep":                  {Data: nil},
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	const year = "public, max-age=31536000, immutable"
	tests := []struct {
		name, path, accept   string
		status               int
		body, enc, cache, ct string
	}{
		{"page", "/tv", "", 200, "tv page", "", "no-cache", "text/html; charset=utf-8"},
		{"claim is a console page", "/claim", "", 200, "console page", "", "no-cache", "text/html; charset=utf-8"},
		{"one-time link", "/c/AbC-12", "", 200, "phone page", "", "no-cache", "text/html; charset=utf-8"},
		{"link of an invited party", "/join/AbC-12", "", 200, "phone page", "", "no-cache", "text/html; charset=utf-8"},
		{"link of a signature", "/s/AbC-12", "", 200, "phone page", "", "no-cache", "text/html; charset=utf-8"},
		{"link of a signature without token", "/s/", "", 404, "", "", "no-store", ""},
		{"one-time link without token", "/c/", "", 404, "", "", "no-store", ""},
		{"one-time link with a folder", "/c/a/b", "", 404, "", "", "no-store", ""},
		{"check of papers", "/verify", "", 200, "verify page", "", "no-cache", "text/html; charset=utf-8"},
		{"no build of this page", "/desk", "", 200, "界面还没有编译，请运行 make run", "", "no-cache", "text/html; charset=utf-8"},
		{"asset plain", "/assets/light/a-1.js", "", 200, "plain", "", year, "text/javascript; charset=utf-8"},
		{"asset brotli", "/assets/light/a-1.js", "gzip, br", 200, "brotli", "br", year, "text/javascript; charset=utf-8"},
		{"asset gzip", "/assets/light/a-1.js", "gzip", 200, "gzip", "gzip", year, "text/javascript; charset=utf-8"},
		{"refused encodings", "/assets/light/a-1.js", "br;q=0, gzip; q=0.0", 200, "plain", "", year, "text/javascript; charset=utf-8"},
		{"not compressed", "/assets/light/b-2.css", "br", 200, "b{}", "", year, "text/css; charset=utf-8"},
		{"missing asset", "/assets/light/gone.js", "br", 404, "", "", "no-store", ""},
		{"encoded twin is no file", "/assets/light/a-1.js.br", "", 404, "", "", "", ""},
		{"page file is no route", "/tv.html", "", 404, "", "", "", ""},
		{"hidden", "/.keep", "", 404, "", "", "no-store", ""},
		{"folder", "/assets/light", "", 404, "", "", "no-store", ""},
		{"climbing", "/assets/../../embed.go", "", 404, "", "", "no-store", ""},
		{"unknown", "/wp-login.php", "", 404, "", "", "no-store", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.path, nil)
			req.Header.Set("Accept-Encoding", tc.accept)
			rec := httptest.NewRecorder()
			serve{files()}.ServeHTTP(rec, req)
			res := rec.Result()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", res.StatusCode, tc.status)
			}
			if tc.cache != "" && res.Header.Get("Cache-Control") != tc.cache {
				t.Errorf("cache %q, want %q", res.Header.Get("Cache-Control"), tc.cache)
			}
			if tc.status != http.StatusOK {
				return
			}
			if string(body) != tc.body {
				t.Errorf("body %q, want %q", body, tc.body)
			}
			if got := res.Header.Get("Content-Encoding"); got != tc.enc {
				t.Errorf("encoding %q, want %q", got, tc.enc)
			}
			if got := res.Header.Get("Content-Type"); got != tc.ct {
				t.Errorf("type %q, want %q", got, tc.ct)
			}
		})
	}
}

func TestServeRefusesChanges(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	serve{files()}.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/c/AbC", strings.NewReader("{}")))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Fatalf("status %d", rec.Code)
	}
}

func TestHandlerAlwaysAnswersItsPages(t *testing.T) {
	t.Parallel()
	for route := range pages {
		rec := httptest.NewRecorder()
		Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodHead, route, nil))
		if rec.Code != http.StatusOK || rec.Body.Len() != 0 {
			t.Errorf("%s: status %d, %d bytes", route, rec.Code, rec.Body.Len())
		}
	}
}
