package test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

// asks is what a party's own screen shows, as far as these tests look.
type mine struct {
	ID, State string
	Asks      []struct{ ID, Kind string }
	Me        struct{ Name string }
}

// yes answers what waits for an answer.
func (m mine) yes(t *testing.T) map[string]any {
	t.Helper()
	if len(m.Asks) == 0 {
		t.Fatal("nothing is asked")
	}
	body := map[string]any{"key": key(), "ask_id": m.Asks[0].ID, "yes": true, "spoken": true}
	if m.Asks[0].Kind == "consents" {
		body["items"] = map[string]bool{"online": true, "esign": true, "hand_off": true}
	}
	return body
}

// party is somebody who came by a link of his own.
type party struct {
	n      *node
	header http.Header
}

func (p *party) do(method, path string, body any) answer {
	p.n.t.Helper()
	return p.n.call(method, p.n.url+"/api/v1"+path, p.header, body)
}

// connect brings the link of the party's phone up and returns what it hears is open.
func (p *party) connect() (*link, wire.SyncBody) {
	p.n.t.Helper()
	var token struct{ Token string }
	p.do(http.MethodPost, "/links/mine/link-tokens", map[string]string{"instance": "one"}).into(p.n.t, &token)
	l, _ := p.n.dial()
	b, err := json.Marshal(wire.ConnectBody{Auth: wire.AuthBody{Kind: "session", Token: token.Token, Screen: "phone", Instance: "one"}})
	if err != nil {
		p.n.t.Fatal(err)
	}
	data, err := wire.Append(nil, &wire.Frame{V: wire.Version, T: wire.Connect, B: b})
	if err != nil {
		p.n.t.Fatal(err)
	}
	l.write(websocket.TextMessage, data)
	l.expect(wire.Welcome, nil)
	var open wire.SyncBody
	l.expect(wire.Sync, &open)
	return l, open
}

// A party comes by the link in a text, has the same rights over its link and over REST, hears of every change, and
// may leave at any time.
func TestAPartyComesByALink(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	d := n.claim()
	tv := d.connect()
	chair := n.signIn("tiaojie")
	desk := chair.connect()
	granted(t, tv.ask(1, wire.VisitOpen, wire.VisitOpenBody{Key: key(), How: "anonymous"}), &struct{}{})
	var k struct{ ID string }
	granted(t, tv.ask(2, wire.TicketCreate, wire.TicketCreateBody{Key: key(), Kind: "mediate", Category: "land", Lang: "zh"}), &k)
	granted(t, desk.sits(1), &struct{}{})
	o := chair.offer()
	var view struct{ Session struct{ ID string } }
	granted(t, desk.ask(2, wire.OfferAccept, wire.OfferAcceptBody{OfferID: o.ID, Ver: o.Ver}), &view)
	granted(t, tv.ask(3, wire.TicketAnswer, wire.TicketAnswerBody{TicketID: k.ID, Key: key(), Take: true}), &struct{}{})
	var dispute struct {
		ID      string
		Parties []struct{ ID string }
	}
	chair.do(http.MethodPost, "/sessions/"+view.Session.ID+"/dispute", map[string]any{
		"key": key(), "mediation_kind": "people", "category": "land", "applicant": map[string]string{"name": "申请人甲"}, "facts": "草牧场没有退还", "requests": []string{},
	}).into(t, &dispute)
	chair.do(http.MethodPost, "/disputes/"+dispute.ID+"/invites", map[string]any{
		"key": key(), "name": "被申请人乙", "phone": "13800000002", "role": "respondent", "side": "B",
	}).into(t, &dispute)

	// A agrees to the name, over the link; REST answers a repeat with the same
	var a mine
	d.do(http.MethodGet, "/dispute", nil).into(t, &a)
	for id := uint64(4); len(a.Asks) > 0; id++ {
		reply := a.yes(t)
		said := tv.ask(id, wire.RoomConsent, reply)
		granted(t, said, &a)
		twin(t, said, d.do(http.MethodPost, "/dispute/answers", reply))
	}

	// the text brings B
	var texts struct {
		Rows []struct{ To, Text, Link string }
	}
	n.until("the invitation", func() bool {
		n.call(http.MethodGet, n.url+"/api/v1/demo/texts", nil, nil).into(t, &texts)
		return len(texts.Rows) > 0
	})
	_, token, found := strings.Cut(texts.Rows[0].Link, "/join/")
	if !found || texts.Rows[0].To != "13800000002" || !strings.Contains(texts.Rows[0].Text, "申请人甲") {
		t.Fatalf("%+v", texts)
	}
	if list, err := os.ReadDir(filepath.Join(n.cfg.Data, "texts")); err != nil || len(list) != 1 {
		t.Errorf("the texts lie in %v, %v", list, err)
	}
	var right struct {
		LinkID string `json:"link_id"`
		CSRF   string
	}
	came := n.call(http.MethodPost, n.url+"/api/v1/links/redeem", nil, map[string]string{"token": token})
	came.into(t, &right)
	set := came.header.Get("Set-Cookie")
	cookie, attributes, _ := strings.Cut(set, ";")
	if !strings.HasPrefix(cookie, "heyi_party=") || !strings.Contains(attributes, "HttpOnly") || !strings.Contains(attributes, "SameSite=Strict") {
		t.Errorf("%s", set)
	}
	b := &party{n: n, header: http.Header{"Cookie": {cookie}, "X-Csrf-Token": {right.CSRF}}}
	phone, open := b.connect()
	if len(open.Items) != 1 || open.Items[0].ID != dispute.ID {
		t.Errorf("open for B: %+v", open)
	}
	var hears wire.NudgeBody
	desk.expect(wire.DisputeState, &hears)
	if hears.ID != dispute.ID {
		t.Errorf("the desk hears %+v", hears)
	}

	// what a party may ask, over both doors with the same answer
	refused(t, phone.ask(1, wire.TicketCreate, wire.TicketCreateBody{Key: key()}), wire.NumUnauthenticated, "auth.required")
	refused(t, phone.ask(2, wire.AgreementHandover, map[string]string{"key": key()}), wire.NumUnauthenticated, "auth.required")
	refused(t, tv.ask(40, wire.AgreementSign, map[string]any{"key": key()}), wire.NumUnauthenticated, "auth.required")
	refused(t, desk.ask(3, wire.DisputeWithdraw, map[string]string{"key": key()}), wire.NumUnauthenticated, "auth.required")
	for id, x := range map[uint64]struct {
		t    wire.Type
		path string
		body map[string]any
	}{
		3: {wire.AgreementReadback, "readback", map[string]any{"digest": "00", "code": "000000"}},
		4: {wire.AgreementSign, "sign", map[string]any{"digest": "00", "mark": map[string]any{"w": 1, "h": 1, "strokes": [][]int{}}}},
		5: {wire.AgreementRefuse, "refuse", map[string]any{"reason": "不同意"}},
	} {
		x.body["key"] = key()
		said := phone.ask(id+10, x.t, x.body)
		if said.Err == nil {
			t.Errorf("%s: %s", x.t, said.B)
		}
		x.body["key"] = key()
		twin(t, said, b.do(http.MethodPost, "/dispute/agreement/"+x.path, x.body))
	}

	// B leaves
	leave := map[string]any{"key": key()}
	left := phone.ask(20, wire.DisputeWithdraw, leave)
	var over mine
	if granted(t, left, &over); over.State != "not_accepted" {
		t.Errorf("after the withdrawal: %s", left.B)
	}
	twin(t, left, b.do(http.MethodPost, "/dispute/withdraw", leave))
	d.do(http.MethodGet, "/dispute", nil).into(t, &a)
	if a.State != "not_accepted" {
		t.Errorf("A sees %s", a.State)
	}
}

// What was not issued here is not vouched for, in words; nobody needs an account to ask.
func TestPapersAreChecked(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	check := func(digest string, files map[string]string) (ok bool, codes []string) {
		t.Helper()
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		for name, text := range files {
			part, err := form.CreateFormFile("files", name)
			if err == nil {
				_, err = part.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if digest != "" {
			if err := form.WriteField("digest", digest); err != nil {
				t.Fatal(err)
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/api/v1/verify", &b)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", form.FormDataContentType())
		res, err := n.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var said struct {
			OK       bool
			Findings []struct{ Code, Text string }
		}
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", res.StatusCode, err)
		}
		for _, f := range said.Findings {
			if f.Text == "" {
				t.Errorf("%s says nothing", f.Code)
			}
			codes = append(codes, f.Code)
		}
		return said.OK, codes
	}
	zero := strings.Repeat("0", 64)
	for name, x := range map[string]struct {
		digest string
		files  map[string]string
		codes  []string
	}{
		"a paper of somebody else's":        {"", map[string]string{"08-签署本.pdf": "%PDF-1.7"}, []string{"archive"}},
		"and a QR code of somebody else's":  {zero, map[string]string{"08-签署本.pdf": "%PDF-1.7"}, []string{"archive", "effective"}},
		"a QR code alone":                   {zero, nil, []string{"effective"}},
		"a manifest that is none":           {"", map[string]string{"manifest.json": "{}"}, []string{"manifest"}},
		"a path that leads out of a folder": {"", map[string]string{"../../08-签署本.pdf": "%PDF-1.7"}, []string{"archive"}},
	} {
		if ok, codes := check(x.digest, x.files); ok || !slices.Equal(codes, x.codes) {
			t.Errorf("%s: %v %v, want %v", name, ok, codes, x.codes)
		}
	}
	var keys struct{ Keys []any }
	n.call(http.MethodGet, n.url+"/api/v1/verify/keys", nil, nil).into(t, &keys)
	if keys.Keys == nil {
		t.Error("no list of keys")
	}
}
