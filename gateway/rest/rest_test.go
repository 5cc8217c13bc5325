package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/go-cmp/cmp"

	"heyi/gateway/auth"
	"heyi/gateway/rest"
	"heyi/internal/fault"
	"heyi/mediation/partylink"
	"heyi/people"
)

// door is the Authenticator of these tests: it knows one credential of each kind.
type door struct{}

func (door) Device(_ context.Context, token string) (auth.Caller, error) {
	if token != "device-token" {
		return auth.Caller{}, fault.New(fault.Unauthenticated, "auth.token")
	}
	return auth.Caller{Kind: auth.Device, DeviceID: "d1"}, nil
}

func (door) Staff(_ context.Context, cookie string) (auth.Caller, string, error) {
	if cookie != "staff-cookie" {
		return auth.Caller{}, "", fault.New(fault.Unauthenticated, "auth.required")
	}
	return auth.Caller{Kind: auth.Staff, StaffID: "s1", Roles: []people.Role{people.Lawyer}}, "staff-csrf", nil
}

func (door) Capture(_ context.Context, cookie string) (auth.Caller, string, error) {
	if cookie != "capture-cookie" {
		return auth.Caller{}, "", fault.New(fault.Unauthenticated, "capture.over")
	}
	return auth.Caller{Kind: auth.Capture, GrantID: "g1"}, "capture-csrf", nil
}

func (door) Party(_ context.Context, cookie string) (auth.Caller, string, error) {
	if cookie != "party-cookie" {
		return auth.Caller{}, "", fault.New(fault.Unauthenticated, "link.over")
	}
	return auth.Caller{Kind: auth.Party, Link: "l1", Purpose: partylink.Join}, "party-csrf", nil
}

func newAPI(t *testing.T, d rest.Deps, areas ...rest.Area) *rest.API {
	t.Helper()
	if d.Auth == nil {
		d.Auth = door{}
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = func() time.Time { return time.UnixMicro(1_790_000_000_123_456) }
	}
	if d.Info == nil {
		d.Info = func(context.Context) (rest.Info, error) {
			return rest.Info{Version: "v1", Node: "n1", TZ: "Asia/Shanghai", Open: true}, nil
		}
	}
	api, err := rest.New(d, areas...)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// routes is an area made of one function.
type routes func(r *rest.Router)

func (f routes) Routes(r *rest.Router) { f(r) }

func ask(t *testing.T, api *rest.API, method, path, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, rest.Prefix+path, strings.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := api.App.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func problemOf(t *testing.T, header http.Header, body string) rest.Problem {
	t.Helper()
	if ct := header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	var p rest.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return p
}

func TestInfo(t *testing.T) {
	t.Parallel()
	status, _, body := ask(t, newAPI(t, rest.Deps{}), "GET", "/info", "", nil)
	want := `{"version":"v1","node":"n1","demo":false,"tls":false,"now_at":1790000000123456,"tz":"Asia/Shanghai","open":true}`
	if status != 200 || body != want {
		t.Errorf("%d %s", status, body)
	}
}

func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
		r.Post("/tickets", rest.Require(auth.Device), func(c *fiber.Ctx) error { return c.SendStatus(204) })
	}))
	for _, path := range []string{"/nothing", "/tickets/", "/TICKETS", "/", ""} {
		status, header, body := ask(t, api, "GET", path, "", nil)
		if p := problemOf(t, header, body); status != 404 || p.Code != "request.no_route" {
			t.Errorf("%q: %d %+v", path, status, p)
		}
	}
}

func TestFaultsBecomeProblems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want rest.Problem
	}{
		"internal, ours":      {fault.New(fault.Internal, "store.secret"), rest.Problem{Title: "Internal Server Error", Status: 500, Code: "internal"}},
		"internal, anybody's": {errors.New("dial 10.0.0.1"), rest.Problem{Title: "Internal Server Error", Status: 500, Code: "internal"}},
		"invalid":             {fault.InField("ticket.category", "category"), rest.Problem{Title: "Unprocessable Entity", Status: 422, Code: "ticket.category", Field: "category"}},
		"unauthenticated":     {fault.New(fault.Unauthenticated, "auth.required"), rest.Problem{Title: "Unauthorized", Status: 401, Code: "auth.required"}},
		"forbidden":           {fault.New(fault.Forbidden, "auth.role"), rest.Problem{Title: "Forbidden", Status: 403, Code: "auth.role"}},
		"not found":           {fault.New(fault.NotFound, "queue.no_ticket"), rest.Problem{Title: "Not Found", Status: 404, Code: "queue.no_ticket"}},
		"unsupported":         {fault.New(fault.Unsupported, "x.y"), rest.Problem{Title: "Not Implemented", Status: 501, Code: "x.y"}},
		"expired":             {fault.New(fault.Expired, "claim.expired"), rest.Problem{Title: "Gone", Status: 410, Code: "claim.expired"}},
		"conflict":            {fault.New(fault.Conflict, "queue.already_waiting").WithRef("t1"), rest.Problem{Title: "Conflict", Status: 409, Code: "queue.already_waiting", Ref: "t1"}},
		"serving":             {fault.New(fault.Serving, "x.serving"), rest.Problem{Title: "Conflict", Status: 409, Code: "x.serving"}},
		"too many":            {fault.New(fault.TooMany, "x.rate").After(1500 * time.Millisecond), rest.Problem{Title: "Too Many Requests", Status: 429, Code: "x.rate", RetryAfterMS: 1500}},
		"stale":               {fault.New(fault.Stale, "session.stale_note"), rest.Problem{Title: "Precondition Failed", Status: 412, Code: "session.stale_note"}},
		"precondition":        {fault.New(fault.Precondition, "visit.required"), rest.Problem{Title: "Precondition Required", Status: 428, Code: "visit.required"}},
		"unavailable":         {fault.New(fault.Unavailable, "store.read_only"), rest.Problem{Title: "Service Unavailable", Status: 503, Code: "store.read_only", RetryAfterMS: 10_000}},
		"panic":               {nil, rest.Problem{Title: "Internal Server Error", Status: 500, Code: "internal"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
				r.Get("/x", rest.Anyone(), func(*fiber.Ctx) error {
					if tt.err == nil {
						panic("boom")
					}
					return tt.err
				})
			}))
			status, header, body := ask(t, api, "GET", "/x", "", nil)
			tt.want.Type = "about:blank"
			if diff := cmp.Diff(tt.want, problemOf(t, header, body)); diff != "" || status != tt.want.Status {
				t.Errorf("status %d, %s", status, diff)
			}
			wantRetry := map[int]string{429: "2", 503: "10"}[tt.want.Status]
			if got := header.Get("Retry-After"); got != wantRetry {
				t.Errorf("Retry-After %q, want %q", got, wantRetry)
			}
		})
	}
}

func TestBodyIsStrict(t *testing.T) {
	t.Parallel()
	api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
		r.Post("/x", rest.Anyone(), func(c *fiber.Ctx) error {
			var in struct {
				Score int `json:"score"`
			}
			if err := rest.Body(c, &in); err != nil {
				return err
			}
			return c.JSON(in)
		})
	}))
	const js = "application/json"
	tests := map[string]struct {
		ct, body string
		status   int
		code     string
		field    string
	}{
		"right":                {js, `{"score":3}`, 200, "", ""},
		"right, with charset":  {js + "; charset=utf-8", ` {"score":3} `, 200, "", ""},
		"unknown field":        {js, `{"score":3,"extra":1}`, 422, "request.unknown_field", "extra"},
		"wrong type":           {js, `{"score":"3"}`, 422, "request.bad_type", "score"},
		"broken":               {js, `{"score":`, 400, "request.bad_json", ""},
		"empty":                {js, ``, 400, "request.bad_json", ""},
		"two documents":        {js, `{"score":3}{}`, 400, "request.bad_json", ""},
		"a form, as in a CSRF": {"text/plain", `{"score":3}`, 422, "request.content_type", ""},
		"too large":            {js, `{"score":` + strings.Repeat(" ", rest.MaxJSON) + `3}`, 413, "request.too_large", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, header, body := ask(t, api, "POST", "/x", tt.body, map[string]string{"Content-Type": tt.ct})
			if status != tt.status {
				t.Fatalf("status %d, %s", status, body)
			}
			if tt.code == "" {
				return
			}
			if p := problemOf(t, header, body); p.Code != tt.code || p.Field != tt.field {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	whoami := func(c *fiber.Ctx) error {
		caller, _ := rest.CallerOf(c)
		return c.SendString(string(caller.Kind) + " " + rest.CSRFOf(c))
	}
	api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
		r.Get("/device", rest.Require(auth.Device), whoami)
		r.Get("/staff", rest.Require(auth.Staff), whoami)
		r.Post("/staff", rest.Require(auth.Staff), whoami)
		r.Get("/lawyer", rest.RequireRole(people.Mediator, people.Lawyer), whoami)
		r.Get("/operator", rest.RequireRole(people.Operator), whoami)
		r.Post("/all", rest.Require(auth.Device, auth.Capture, auth.Staff), whoami)
		r.Get("/party", rest.Require(auth.Device, auth.Capture, auth.Party), whoami)
		r.Post("/party", rest.Require(auth.Device, auth.Capture, auth.Party), whoami)
	}))
	const (
		staff   = "heyi_staff=staff-cookie"
		capture = "heyi_capture=capture-cookie"
		party   = "heyi_party=party-cookie"
	)
	tests := map[string]struct {
		method, path, bearer, cookie, csrf string
		want                               string
	}{
		"nobody":                            {"GET", "/device", "", "", "", "401 auth.required"},
		"a device":                          {"GET", "/device", "device-token", "", "", "200 device "},
		"a wrong token":                     {"GET", "/device", "x", "", "", "401 auth.token"},
		"staff on a device's route":         {"GET", "/device", "", staff, "", "401 auth.required"},
		"a device on a staff route":         {"GET", "/staff", "device-token", "", "", "401 auth.required"},
		"a bearer token hides no cookie":    {"GET", "/staff", "device-token", staff, "", "401 auth.required"},
		"staff reads":                       {"GET", "/staff", "", staff, "", "200 staff staff-csrf"},
		"staff changes":                     {"POST", "/staff", "", staff, "staff-csrf", "200 staff staff-csrf"},
		"staff changes without CSRF token":  {"POST", "/staff", "", staff, "", "403 auth.csrf"},
		"with somebody else's CSRF token":   {"POST", "/staff", "", staff, "capture-csrf", "403 auth.csrf"},
		"a role that fits":                  {"GET", "/lawyer", "", staff, "", "200 staff staff-csrf"},
		"a role that does not":              {"GET", "/operator", "", staff, "", "403 auth.role"},
		"a device needs no CSRF token":      {"POST", "/all", "device-token", "", "", "200 device "},
		"two cookies, the desk speaks":      {"POST", "/all", "", staff + "; " + capture, "staff-csrf", "200 staff staff-csrf"},
		"two cookies, the phone speaks":     {"POST", "/all", "", staff + "; " + capture, "capture-csrf", "200 capture capture-csrf"},
		"two cookies, none of them shown":   {"POST", "/all", "", staff + "; " + capture, "", "403 auth.csrf"},
		"a phone whose visit is over":       {"POST", "/all", "", "heyi_capture=old", "capture-csrf", "401 capture.over"},
		"an old phone, a live desk, a desk": {"POST", "/all", "", staff + "; heyi_capture=old", "staff-csrf", "200 staff staff-csrf"},
		"a party reads":                     {"GET", "/party", "", party, "", "200 party party-csrf"},
		"a party changes":                   {"POST", "/party", "", party, "party-csrf", "200 party party-csrf"},
		"a party without CSRF token":        {"POST", "/party", "", party, "", "403 auth.csrf"},
		"a party on a staff route":          {"GET", "/staff", "", party, "", "401 auth.required"},
		"a party whose right has ended":     {"GET", "/party", "", "heyi_party=old", "", "401 link.over"},
		"camera and party, the party reads": {"GET", "/party", "", capture + "; " + party, "party-csrf", "200 party party-csrf"},
		"camera and party, the camera does": {"GET", "/party", "", capture + "; " + party, "capture-csrf", "200 capture capture-csrf"},
		"camera and party, nobody named":    {"GET", "/party", "", capture + "; " + party, "", "200 capture capture-csrf"},
		"camera and party, one changes":     {"POST", "/party", "", capture + "; " + party, "party-csrf", "200 party party-csrf"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := map[string]string{}
			if tt.bearer != "" {
				header["Authorization"] = "Bearer " + tt.bearer
			}
			if tt.cookie != "" {
				header["Cookie"] = tt.cookie
			}
			if tt.csrf != "" {
				header["X-CSRF-Token"] = tt.csrf
			}
			status, h, body := ask(t, api, tt.method, tt.path, "", header)
			got := "200 " + body
			if status != 200 {
				got = http.StatusText(status)
				if p := problemOf(t, h, body); p.Status == status {
					got = strings.Join([]string{map[int]string{401: "401", 403: "403"}[status], p.Code}, " ")
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
		r.Post("/in", rest.Anyone(), func(c *fiber.Ctx) error {
			rest.SetCookie(c, rest.StaffCookie, "v", 12*time.Hour)
			return c.SendStatus(204)
		})
		r.Post("/out", rest.Anyone(), func(c *fiber.Ctx) error {
			rest.ClearCookie(c, rest.StaffCookie)
			return c.SendStatus(204)
		})
	}))
	_, h, _ := ask(t, api, "POST", "/in", "", map[string]string{"X-Forwarded-Proto": "https"})
	if got := h.Get("Set-Cookie"); got != "heyi_staff=v; max-age=43200; path=/api/v1; HttpOnly; secure; SameSite=Strict" {
		t.Errorf("over TLS: %s", got)
	}
	_, h, _ = ask(t, api, "POST", "/in", "", nil)
	if got := h.Get("Set-Cookie"); got != "heyi_staff=v; max-age=43200; path=/api/v1; HttpOnly; SameSite=Strict" {
		t.Errorf("plain: %s", got)
	}
	_, h, _ = ask(t, api, "POST", "/out", "", nil)
	if got := h.Get("Set-Cookie"); !strings.HasPrefix(got, "heyi_staff=; expires=Thu, 01 Jan 1970") {
		t.Errorf("cleared: %s", got)
	}
}

// The log names routes and ids, never paths, queries or bodies.
func TestAccessLogHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	api := newAPI(t, rest.Deps{Logger: slog.New(slog.NewJSONHandler(&out, nil))}, routes(func(r *rest.Router) {
		r.Get("/things/{id}", rest.Require(auth.Staff), func(c *fiber.Ctx) error { return c.SendString(c.Params("id")) })
	}))
	_, h, body := ask(t, api, "GET", "/things/secret-path?q=secret-query", "", map[string]string{"Cookie": "heyi_staff=staff-cookie"})
	if body != "secret-path" {
		t.Fatalf("body %q", body)
	}
	ask(t, api, "GET", "/unknown/secret-path", "", nil)
	log := out.String()
	if strings.Contains(log, "secret") || strings.Contains(log, "staff-cookie") {
		t.Errorf("secrets in %s", log)
	}
	for _, want := range []string{`"route":"/api/v1/things/{id}"`, `"caller_id":"s1"`, h.Get("X-Request-Id"), `"route":"unknown"`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
}

func TestLargeBodiesAreForTheirRoutes(t *testing.T) {
	t.Parallel()
	api := newAPI(t, rest.Deps{}, routes(func(r *rest.Router) {
		r.Post("/devices/import", rest.Anyone(), func(c *fiber.Ctx) error { return c.SendStatus(204) })
		r.Large("/devices/import")
		r.Upload("POST", "/disputes/{id}/scan")
	}))
	for path, want := range map[string]int64{
		"/api/v1/devices/import": rest.MaxLarge, "/api/v1/claims": rest.MaxJSON, "/api/v1/disputes/d1/scan": 25 << 20, "/api/v1/disputes/scan": rest.MaxJSON,
		"/api/v1/disputes/d1/scan/x": rest.MaxJSON, "/disputes/d1/scan": rest.MaxJSON, "/api/v1/disputes/d1/scanner": rest.MaxJSON,
	} {
		if got := api.BodyLimit("POST", path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
