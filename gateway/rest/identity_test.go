package rest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/bridge"
	"heyi/gateway/rest"
	"heyi/gateway/wire"
	"heyi/internal/coord/memcoord"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/people"
	"heyi/store"
	"heyi/store/storetest"
)

const staffPassword = "correct horse battery"

// house is the REST door with real services behind it, on a real socket.
type house struct {
	t        *testing.T
	url      string
	api      *rest.API
	store    *store.Store
	tree     *org.Tree
	tokens   *auth.Tokens
	presence *devices.Presence
	devices  rest.Devices
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := t.Context()
	s := storetest.OpenSQLite(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	seeds, err := org.Chifeng()
	check(err)
	_, err = s.SeedUnits(ctx, seeds)
	check(err)
	units, err := s.Units(ctx)
	check(err)
	h := &house{t: t, store: s}
	h.tree, err = org.NewTree(units)
	check(err)
	c := memcoord.New(time.Now)
	keys, err := auth.NewKeyring(ctx, func(ctx context.Context, purpose string) ([]auth.Key, error) {
		if _, err := s.Key(ctx, purpose); err != nil {
			return nil, err
		}
		list, err := s.Keys(ctx, purpose)
		var out []auth.Key
		for _, k := range list {
			out = append(out, auth.Key{KID: k.KID, Seed: k.Secret, Public: k.Public, Active: k.Active})
		}
		return out, err
	}, time.Now)
	check(err)
	h.tokens = auth.NewTokens(keys, s)
	staff := people.NewService(people.Config{Cost: people.Argon2{MemoryKiB: 64, Passes: 1, Lanes: 1}}, people.Deps{Store: s, Limiter: c, Now: time.Now})
	hmacKey, err := s.Key(ctx, store.KeyHMAC)
	check(err)
	door := auth.NewAuthenticator(auth.Deps{
		Keys: keys, Tokens: h.tokens, Epochs: s, Signins: staff, Grants: s, CSRFKey: hmacKey.Secret, Now: time.Now,
	})
	registry := devices.NewRegistry(devices.Config{Demo: true, DemoUnit: h.unit("150426106201"), DemoName: "演示电视"}, devices.Deps{
		Claims: s, Fleet: s, Lists: s, CA: keys, Limiter: c, Nudges: c, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	h.presence = devices.NewPresence(devices.PresenceConfig{}, devices.PresenceDeps{
		Store: s, Nudges: c, Node: devices.NodeID{Name: "n1", Inc: 1}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	var people1 []people.Seed
	for login, p := range map[string]struct {
		code string
		role people.Role
	}{
		"op": {"150426000000", people.Operator}, "op2": {"150430000000", people.Operator}, "dispatch": {"150426000000", people.Dispatcher},
		"bing": {"150426000000", people.Mediator}, "city": {"150400000000", people.Operator},
	} {
		people1 = append(people1, people.Seed{Password: staffPassword, Staff: people.Staff{
			UnitID: h.unit(p.code), Login: login, Name: "示例 " + login, Title: "示例", Roles: []people.Role{p.role}, Langs: []mediation.Lang{mediation.Chinese},
		}})
	}
	_, err = staff.SeedStaff(ctx, people1, false)
	check(err)
	streams := devices.NewStreams(devices.StreamsDeps{Store: h.store, Node: devices.NodeID{Name: "n1", Inc: 1}, Logger: slog.New(slog.DiscardHandler)})
	h.devices = rest.Devices{Registry: registry, Streams: streams, History: devices.NewHistory(s, time.Now), Tree: h.tree, Now: time.Now, RTT: func(ident.DeviceID) (int, bool) { return 12, true }}
	h.api = newAPI(t, rest.Deps{Auth: door, Now: time.Now},
		rest.Staff{People: staff, Tokens: h.tokens, CSRF: door.CSRF, Registry: registry, Tree: h.tree, Nudges: c, Demo: true, Now: time.Now},
		rest.Claims{Registry: registry, Tree: h.tree, PublicURL: "https://heyi.test", Poll: 20 * time.Millisecond, Now: time.Now},
		h.devices,
		rest.Console{Registry: registry, History: h.devices.History, Nodes: c, Packages: h.packages, Now: time.Now, Figures: func(context.Context, ident.UnitID) (rest.Figures, error) {
			return rest.Figures{Waiting: 2, Rated: 3, RatedAvg: 4.666}, nil
		}},
	)
	server := httptest.NewServer(bridge.New(h.api.App, bridge.Config{Limit: h.api.BodyLimit}))
	t.Cleanup(server.Close)
	h.url = server.URL + rest.Prefix
	return h
}

func (h *house) packages(ctx context.Context, unit ident.UnitID) (p rest.Packages, err error) {
	p.Queued, p.Dead, err = h.store.OpenHandoffs(ctx, unit)
	return p, err
}

func (h *house) unit(code string) ident.UnitID {
	h.t.Helper()
	u, ok := h.tree.ByCode(code)
	if !ok {
		h.t.Fatalf("no unit %s", code)
	}
	return u.ID
}

// client is somebody with headers of his own.
type client struct {
	h      *house
	header http.Header
	host   string
}

func (h *house) anyone() *client { return &client{h: h, header: http.Header{}} }

// call sends a request and decodes the answer into out, which may be nil; it returns status and problem code.
func (c *client) call(method, path string, body, out any) (int, string) {
	c.h.t.Helper()
	var src io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		src, contentType = strings.NewReader(b), "text/csv"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			c.h.t.Fatal(err)
		}
		src = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(c.h.t.Context(), method, c.h.url+path, src)
	if err != nil {
		c.h.t.Fatal(err)
	}
	maps.Copy(r.Header, c.header)
	r.Host = c.host
	if body != nil {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.h.t.Fatal(err)
	}
	for _, cookie := range res.Cookies() {
		c.header.Set("Cookie", cookie.Name+"="+cookie.Value)
	}
	if res.StatusCode >= 400 {
		return res.StatusCode, problemOf(c.h.t, res.Header, string(raw)).Code
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			c.h.t.Fatalf("%s %s: %q: %v", method, path, raw, err)
		}
	}
	return res.StatusCode, ""
}

func (c *client) want(status int, code, method, path string, body, out any) {
	c.h.t.Helper()
	if got, gotCode := c.call(method, path, body, out); got != status || gotCode != code {
		c.h.t.Errorf("%s %s: %d %q, want %d %q", method, path, got, gotCode, status, code)
	}
}

type meAnswer struct {
	Staff struct {
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
		Langs []string `json:"langs"`
		Unit  struct {
			Path []string `json:"path"`
		} `json:"unit"`
	} `json:"staff"`
	CSRF string `json:"csrf"`
}

func (h *house) signIn(login string) *client {
	h.t.Helper()
	c := h.anyone()
	var me meAnswer
	c.want(200, "", "POST", "/staff/login", map[string]string{"login": login, "password": staffPassword}, &me)
	c.header.Set(rest.CSRFHeader, me.CSRF)
	return c
}

type claimAnswer struct {
	ClaimID  ident.ClaimID `json:"claim_id"`
	Secret   string        `json:"secret"`
	Code     string        `json:"code"`
	URL      string        `json:"url"`
	QRSVG    string        `json:"qr_svg"`
	Approved bool          `json:"approved"`
}

type tv struct {
	h    *house
	pub  ed25519.PublicKey
	key  ed25519.PrivateKey
	id   ident.DeviceID
	link *client
}

func (h *house) newTV(serial string) (*tv, map[string]any) {
	h.t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	return &tv{h: h, pub: pub, key: key}, map[string]any{
		"pub": b64.EncodeToString(pub), "alg": "ed25519", "key_store": "webcrypto", "serial": serial, "model": "M1", "kind": "stb",
		"proof": b64.EncodeToString(ed25519.Sign(key, wire.ClaimProof(pub, serial))), "app": map[string]string{"name": "tv", "ver": "1"},
	}
}

// connect gives the TV an epoch and the access token of its link.
func (v *tv) connect() {
	v.h.t.Helper()
	now := time.Now()
	got, err := v.h.presence.Connect(v.h.t.Context(), []devices.LinkUp{{Device: v.id, KeySHA256: devices.Fingerprint(v.pub), AppVer: "1.0", At: now.UnixMicro()}})
	if err != nil || got[0].Refused != "" {
		v.h.t.Fatalf("connect: %+v, %v", got, err)
	}
	token, _, err := v.h.tokens.Access(v.id, "link", got[0].Epoch, now)
	if err != nil {
		v.h.t.Fatal(err)
	}
	v.link = v.h.anyone()
	v.link.header.Set("Authorization", "Bearer "+token)
}

// enrol claims as the demo's TV.
func (h *house) enrol(serial string) *tv {
	h.t.Helper()
	v, body := h.newTV(serial)
	var a claimAnswer
	h.anyone().want(201, "", "POST", "/claims", body, &a)
	v.fetch(a)
	return v
}

func (v *tv) fetch(a claimAnswer) {
	v.h.t.Helper()
	c := v.h.anyone()
	c.header.Set("X-Claim-Secret", a.Secret)
	var got struct {
		DeviceID ident.DeviceID `json:"device_id"`
		Cred     string         `json:"cred"`
	}
	c.want(200, "", "GET", "/claims/"+string(a.ClaimID), nil, &got)
	if got.Cred == "" {
		v.h.t.Fatal("no credential")
	}
	v.id = got.DeviceID
}

func TestDemoClaimIsForLoopbackAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, tt := range map[string]struct {
		header, value, host string
		approved            bool
	}{
		"direct over loopback":        {"", "", "", true},
		"by the name localhost":       {"", "", "localhost:8443", true},
		"a proxy named a client":      {"X-Forwarded-For", "127.0.0.1", "", false},
		"a proxy named itself":        {"Via", "1.1 proxy", "", false},
		"a foreign name for loopback": {"", "", "evil.test", false},
	} {
		_, body := h.newTV("TV " + name)
		c := h.anyone()
		c.host = tt.host
		if tt.header != "" {
			c.header.Set(tt.header, tt.value)
		}
		var a claimAnswer
		c.want(201, "", "POST", "/claims", body, &a)
		if a.Approved != tt.approved || !strings.HasPrefix(a.QRSVG, "<svg") || a.URL != "https://heyi.test/claim?c="+a.Code {
			t.Errorf("%s: approved %v, url %s", name, a.Approved, a.URL)
		}
	}
}

func TestClaimOverREST(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v, body := h.newTV("SN-1")
	box := h.anyone()
	box.header.Set("Via", "1.1 proxy")
	var a claimAnswer
	box.want(201, "", "POST", "/claims", body, &a)
	body["colour"] = "red"
	box.want(422, "request.unknown_field", "POST", "/claims", body, nil)

	poll := h.anyone()
	poll.want(404, "claim.not_found", "GET", "/claims/"+string(a.ClaimID), nil, nil)
	poll.header.Set("X-Claim-Secret", a.Secret)
	poll.want(202, "", "GET", "/claims/"+string(a.ClaimID), nil, nil)
	poll.want(404, "claim.not_found", "GET", "/claims/nonsense", nil, nil)

	op := h.signIn("op")
	h.signIn("dispatch").want(403, "auth.role", "GET", "/claims", nil, nil)
	var list struct {
		Claims []struct {
			ID   ident.ClaimID `json:"id"`
			Code string        `json:"code"`
		} `json:"claims"`
	}
	op.want(200, "", "GET", "/claims?code="+strings.ToLower(a.Code), nil, &list)
	if len(list.Claims) != 1 || list.Claims[0].Code != a.Code {
		t.Fatalf("claims %+v", list)
	}
	approve := map[string]any{"key": ident.New[string](), "unit_id": h.unit("150430206201"), "name": "电视", "class": "public"}
	op.want(404, "org.no_unit", "POST", "/claims/"+string(a.ClaimID)+"/approve", approve, nil)
	approve["unit_id"], approve["key"] = h.unit("150426106201"), "no uuid"
	op.want(422, "request.bad_key", "POST", "/claims/"+string(a.ClaimID)+"/approve", approve, nil)
	approve["key"] = ident.New[string]()
	var row rest.DeviceRow
	op.want(200, "", "POST", "/claims/"+string(a.ClaimID)+"/approve", approve, &row)
	if row.Chip != devices.ChipOffline || strings.Join(row.Place, "/") != "赤峰市/翁牛特旗/海拉苏镇/第一嘎查（示例）" || row.RTTMS != nil {
		t.Errorf("row %+v", row)
	}
	v.fetch(a)
	if v.id != row.ID {
		t.Errorf("the TV is %s, the operator approved %s", v.id, row.ID)
	}
	_, other := h.newTV("SN-2")
	box.want(201, "", "POST", "/claims", other, &a)
	op.want(204, "", "POST", "/claims/"+string(a.ClaimID)+"/refuse", map[string]string{"key": ident.New[string]()}, nil)
	poll.header.Set("X-Claim-Secret", a.Secret)
	poll.want(403, "claim.refused", "GET", "/claims/"+string(a.ClaimID), nil, nil)
}

func TestVisitAndEpochOverREST(t *testing.T) {
	t.Parallel()
	h := newLine(t).house
	v := h.enrol("TV-1")
	h.anyone().want(401, "auth.required", "POST", "/visits", map[string]string{"key": ident.New[string](), "how": "anonymous"}, nil)
	v.connect()
	var visit struct {
		ID ident.VisitID `json:"id"`
	}
	open := map[string]string{"key": ident.New[string](), "how": "anonymous"}
	v.link.want(200, "", "POST", "/visits", open, &visit)
	first := visit.ID
	open["key"] = ident.New[string]()
	v.link.want(200, "", "POST", "/visits", open, &visit)
	if visit.ID != first {
		t.Error("an open visit was not returned as it is")
	}
	v.link.want(422, "visit.bad_how", "POST", "/visits", map[string]string{"key": ident.New[string](), "how": "id_card"}, nil)
	v.link.want(422, "visit.bad_why", "POST", "/visits/"+string(first)+"/close", map[string]string{"why": "bored"}, nil)
	other := h.enrol("TV-2")
	other.connect()
	other.link.want(404, "visit.not_found", "POST", "/visits/"+string(first)+"/close", map[string]string{"why": "left"}, nil)
	v.link.want(204, "", "POST", "/visits/"+string(first)+"/close", map[string]string{"why": "left"}, nil)

	// the former link's token dies with its epoch
	old := v.link
	v.connect()
	old.want(401, "auth.required", "POST", "/visits", open, nil)
	op := h.signIn("op")
	var row rest.DeviceRow
	op.want(200, "", "POST", "/devices/"+string(v.id)+"/disable", map[string]string{"key": ident.New[string](), "reason": "修"}, &row)
	if row.Chip != devices.ChipDisabled {
		t.Errorf("row %+v", row)
	}
	v.link.want(401, "auth.required", "POST", "/visits", open, nil)
	op.want(409, "device.life", "POST", "/devices/"+string(v.id)+"/disable", map[string]string{"key": ident.New[string]()}, nil)
	op.want(200, "", "POST", "/devices/"+string(v.id)+"/enable", map[string]string{"key": ident.New[string]()}, &row)
	v.connect()
	v.link.want(200, "", "POST", "/visits", map[string]string{"key": ident.New[string](), "how": "anonymous"}, nil)
	var detail struct {
		rest.DeviceRow

		Epoch  int64 `json:"epoch"`
		Events []struct {
			Type, Actor string
		} `json:"events"`
	}
	op.want(200, "", "GET", "/devices/"+string(v.id), nil, &detail)
	if detail.Chip != devices.ChipOnline || detail.AppVer != "1.0" || detail.RTTMS == nil || *detail.RTTMS != 12 || detail.Epoch != 5 ||
		detail.Events[0].Type != "device.active" {
		t.Errorf("detail %+v", detail)
	}
}

// A caller outside the subtree gets 404 on every route that names a device or an expected terminal's claim, and his
// lists are empty.
func TestOutsideTheSubtreeNothingExists(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.enrol("TV-1")
	inside, outside := h.signIn("op"), h.signIn("op2")
	var imported struct {
		Results []devices.ImportResult `json:"results"`
	}
	inside.want(200, "", "POST", "/devices/import", "serial,key_sha256,kind,class,model,org_code,name,place\nIMP-1,,stb,public,M,150426106201,电视,\n", &imported)
	if !imported.Results[0].OK {
		t.Fatalf("import %+v", imported)
	}
	_, body := h.newTV("IMP-1")
	var a claimAnswer
	h.anyone().want(201, "", "POST", "/claims", body, &a)

	ids := map[string]string{"/devices": string(v.id), "/claims": string(a.ClaimID)}
	walked := 0
	for _, r := range h.api.Routes {
		area, _, named := strings.Cut(r.Path, "/{id}")
		id := ids[area]
		if !named || id == "" || r.Who.Open {
			continue
		}
		walked++
		path := strings.Replace(r.Path, "{id}", id, 1)
		var in any
		switch {
		case strings.HasSuffix(r.Path, "/approve"):
			in = map[string]any{"key": ident.New[string](), "unit_id": h.unit("150430206201"), "name": "电视", "class": "public"}
		case r.Method == http.MethodPost:
			in = map[string]string{"key": ident.New[string]()}
		}
		if status, code := outside.call(r.Method, path, in, nil); status != http.StatusNotFound {
			t.Errorf("%s %s from outside: %d %s, want 404", r.Method, r.Path, status, code)
		}
	}
	if walked < 6 {
		t.Errorf("only %d routes walked", walked)
	}
	var list struct {
		Rows  []rest.DeviceRow `json:"rows"`
		Total int              `json:"total"`
	}
	for who, want := range map[*client]int{inside: 2, outside: 0} {
		for _, query := range []string{"", "?unit=" + string(h.unit("150426106201"))} {
			who.want(200, "", "GET", "/devices"+query, nil, &list)
			if list.Total != want || len(list.Rows) != want {
				t.Errorf("list%s: %d of %d, want %d", query, len(list.Rows), list.Total, want)
			}
		}
		list.Rows = nil
	}
	var overview struct {
		Devices struct{ Total int }   `json:"devices"`
		Tickets struct{ Waiting int } `json:"tickets"`
		Rated   struct{ Avg float64 } `json:"rated"`
	}
	outside.want(200, "", "GET", "/console/overview", nil, &overview)
	if overview.Devices.Total != 0 {
		t.Errorf("overview %+v", overview)
	}
	inside.want(200, "", "GET", "/console/overview", nil, &overview)
	if overview.Devices.Total != 2 || overview.Tickets.Waiting != 2 || overview.Rated.Avg != 4.67 {
		t.Errorf("overview %+v", overview)
	}
	var units struct {
		Units []struct {
			Name     string
			Devices  int
			ParentID string `json:"parent_id"`
		} `json:"units"`
	}
	inside.want(200, "", "GET", "/units", nil, &units)
	if len(units.Units) != 8 || units.Units[0].Name != "翁牛特旗" || units.Units[0].Devices != 2 || units.Units[0].ParentID != "" {
		t.Errorf("units %+v", units)
	}
	rows, total, err := rest.DeviceView(t.Context(), h.devices, auth.Caller{
		Kind: auth.Staff, StaffUnit: h.unit("150430000000"), Roles: []people.Role{people.Operator},
	}, wire.ViewOpenBody{View: "devices"})
	if err != nil || total != 0 || len(rows) != 0 {
		t.Errorf("live view from outside: %d rows, %v", total, err)
	}
	rows, total, err = rest.DeviceView(t.Context(), h.devices, auth.Caller{
		Kind: auth.Staff, StaffUnit: h.unit("150426000000"), Roles: []people.Role{people.Dispatcher},
	}, wire.ViewOpenBody{View: "devices", Limit: 1})
	if err != nil || total != 2 || len(rows) != 1 || !bytes.Contains(rows[0].Row, []byte(rows[0].ID)) {
		t.Errorf("live view: %d rows of %d, %v", len(rows), total, err)
	}
	if _, _, err := rest.DeviceView(t.Context(), h.devices, auth.Caller{
		Kind: auth.Staff, StaffUnit: h.unit("150426000000"), Roles: []people.Role{people.Mediator},
	}, wire.ViewOpenBody{View: "devices"}); err == nil {
		t.Error("a mediator sees the fleet")
	}
}

func TestStaffOverREST(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.anyone().want(401, "auth.wrong", "POST", "/staff/login", map[string]string{"login": "bing", "password": "wrong password"}, nil)
	h.anyone().want(401, "auth.required", "GET", "/staff/me", nil, nil)
	c := h.signIn("bing")
	var me meAnswer
	c.want(200, "", "GET", "/staff/me", nil, &me)
	if me.CSRF != c.header.Get(rest.CSRFHeader) || strings.Join(me.Staff.Unit.Path, "/") != "赤峰市/翁牛特旗" || fmt.Sprint(me.Staff.Langs) != "[zh]" {
		t.Errorf("me %+v", me)
	}
	in := map[string]string{"screen": "desk", "instance": "tab"}
	var token struct {
		Token string `json:"token"`
		ExpAt int64  `json:"exp_at"`
	}
	c.want(200, "", "POST", "/staff/link-tokens", in, &token)
	if subject, err := h.tokens.RedeemLink(t.Context(), token.Token, "desk", "tab", time.Now()); err != nil || subject.Kind != auth.Staff || subject.Login == "" {
		t.Errorf("link token is %+v, %v", subject, err)
	}
	c.want(422, "link.bad_screen", "POST", "/staff/link-tokens", map[string]string{"screen": "moon", "instance": "tab"}, nil)
	csrf := c.header.Get(rest.CSRFHeader)
	c.header.Del(rest.CSRFHeader)
	c.want(403, "auth.csrf", "POST", "/staff/link-tokens", in, nil)
	c.want(403, "auth.csrf", "POST", "/staff/logout", nil, nil)
	c.header.Set(rest.CSRFHeader, csrf)
	cookie := c.header.Get("Cookie")
	c.want(204, "", "POST", "/staff/logout", nil, nil)
	c.header.Set("Cookie", cookie)
	c.want(401, "auth.required", "GET", "/staff/me", nil, nil)
	c.want(401, "auth.required", "GET", "/units", nil, nil)
}
