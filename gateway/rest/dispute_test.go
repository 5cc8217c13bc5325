package rest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"heyi/gateway/rest"
	"heyi/internal/coord/memcoord"
	"heyi/internal/ident"
	"heyi/internal/notify"
	"heyi/internal/org"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/mediation/flow"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
	"heyi/people"
)

// links are the links of the line's dockets.
func (l *line) links(c *memcoord.Coord) *partylink.Links {
	return partylink.NewLinks(partylink.Deps{
		Store: l.store, Limiter: c, Now: time.Now, AnAddr: 50,
		Redeem: func(ctx context.Context, cmd mediation.Command, id ident.LinkID, cookie string) (partylink.Link, error) {
			return l.dockets.Redeem(ctx, cmd, id, cookie)
		},
		Describe: func(ctx context.Context, k partylink.Link) (partylink.Found, error) {
			return l.dockets.Describe(ctx, k)
		},
	})
}

func secrets() partylink.Secrets {
	return partylink.NewSecrets([]byte("a key of thirty-two bytes length"))
}

func newDockets(t *testing.T, h *house, c *memcoord.Coord, rooms *session.Executor, staff *people.Service) *flow.Dockets {
	t.Helper()
	calendar, err := org.Holidays()
	if err != nil {
		t.Fatal(err)
	}
	return flow.NewDockets(flow.DocketDeps{
		Store: h.store, Rooms: rooms, Nudges: c, Tree: h.tree, Calendar: calendar, Secrets: secrets(),
		Reauth: staff, Render: pdftest.Renderer(t).Render, SealKey: h.store.SealKey, PublicURL: "https://heyi.test", TZ: time.UTC, Now: time.Now,
		Logger: slog.New(slog.DiscardHandler),
	})
}

// sent reads the demo's phone as the app does.
func (l *line) sent(ctx context.Context, limit int) ([]rest.SentText, error) {
	list, err := l.store.SentTexts(ctx, limit)
	var out []rest.SentText
	for _, t := range list {
		text, link, werr := t.Words()
		if werr != nil {
			return nil, werr
		}
		out = append(out, rest.SentText{At: t.SentAt, To: t.To, Text: text, Link: link})
	}
	return out, err
}

func checkNothing(context.Context, []rest.VerifyFile, string) (bool, []rest.Finding, error) {
	return false, nil, nil
}

// table is a mediation at the point where its mediator registers the dispute.
type table struct {
	*line
	box     *tv
	session string
	id      string // of the dispute
	a, b    string // party ids
}

func sitDown(t *testing.T) *table {
	t.Helper()
	l := newLine(t)
	x := &table{line: l, box: l.enrol("SN-1")}
	x.box.connect()
	x.ask(x.box.link, "POST", "/visits", "", map[string]any{"key": key(), "how": "anonymous"}, 200)
	k := x.ask(x.box.link, "POST", "/tickets", "", map[string]any{"key": key(), "kind": "mediate", "category": "land", "lang": "zh"}, 201)
	x.ask(l.judge, "POST", "/seat", "", map[string]any{"state": "ready"}, 200)
	if err := l.matcher.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	desk := x.ask(l.judge, "GET", "/desk", "", nil, 200)
	desk = x.ask(l.judge, "POST", "/offers/{id}/accept", text(desk, "offer", "id"), map[string]any{"ver": in(desk, "offer", "ver")}, 200)
	x.session = text(desk, "session", "id")
	x.ask(x.box.link, "POST", "/tickets/{id}/answer", text(k, "id"), map[string]any{"key": key(), "take": true}, 200)
	return x
}

func (x *table) register(status int) map[string]any {
	x.t.Helper()
	d := x.ask(x.judge, "POST", "/sessions/{id}/dispute", x.session, map[string]any{
		"key": key(), "mediation_kind": "people", "category": "land", "applicant": map[string]any{"name": "申请人甲"},
		"facts": "草牧场租期已满，对方没有退还。", "requests": []string{"退还草牧场"},
	}, status)
	x.id = text(d, "id")
	x.a = text(x.party(d, "A"), "id")
	return d
}

func (x *table) party(d map[string]any, side string) map[string]any {
	x.t.Helper()
	list, _ := in(d, "parties").([]any)
	for _, p := range list {
		if text(p, "side") == side {
			m, _ := p.(map[string]any)
			return m
		}
	}
	x.t.Fatalf("no party %s in %v", side, d)
	return nil
}

// staff calls a command of the mediator on the dispute.
func (x *table) staff(method, pattern string, parts map[string]string, body map[string]any) map[string]any {
	x.t.Helper()
	if _, there := body["key"]; !there && method != "GET" && !strings.HasSuffix(pattern, "/agreement") {
		body["key"] = key()
	}
	return x.askParts(x.judge, method, "/disputes/{id}"+pattern, parts, body)
}

// askParts is ask for paths with several parts; {id} is the dispute.
func (x *table) askParts(c *client, method, pattern string, parts map[string]string, body any) map[string]any {
	x.t.Helper()
	path := strings.Replace(pattern, "{id}", x.id, 1)
	for name, v := range parts {
		path = strings.Replace(path, "{"+name+"}", v, 1)
	}
	var out any
	if got, code := c.call(method, path, body, &out); got != 200 {
		x.t.Fatalf("%s %s: %d %q", method, path, got, code)
	}
	answer := x.doc.Paths.Value(pattern).GetOperation(method).Responses.Status(200)
	if err := answer.Value.Content["application/json"].Schema.Value.VisitJSON(out); err != nil {
		x.t.Errorf("%s %s: %v", method, pattern, err)
	}
	m, _ := out.(map[string]any)
	return m
}

// mine calls a command of a party on its own dispute.
func (x *table) mine(c *client, pattern string, body map[string]any) map[string]any {
	x.t.Helper()
	body["key"] = key()
	return x.ask(c, "POST", "/dispute"+pattern, "", body, 200)
}

// answerAll answers what a party is asked.
func (x *table) answerAll(c *client) {
	x.t.Helper()
	for range 10 {
		v := x.ask(c, "GET", "/dispute", "", nil, 200)
		asks, _ := in(v, "asks").([]any)
		if len(asks) == 0 {
			return
		}
		body := map[string]any{"ask_id": text(asks[0], "id"), "yes": true, "spoken": true}
		if text(asks[0], "kind") == "consents" {
			body["items"] = map[string]bool{"online": true, "esign": true, "hand_off": true}
		}
		x.mine(c, "/answers", body)
	}
	x.t.Fatal("the asks do not end")
}

// texts sends what is due and returns what the demo's phone shows, newest first.
func (x *table) texts() []any {
	x.t.Helper()
	s := notify.NewSender(notify.Config{Store: x.store, Adapter: &notify.File{Dir: x.t.TempDir(), Now: time.Now}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Step(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
	rows, _ := in(x.ask(x.anyone(), "GET", "/demo/texts", "", nil, 200), "rows").([]any)
	return rows
}

// seen brings everybody's media lines up.
func (x *table) seen() {
	x.t.Helper()
	type member struct {
		id   ident.ParticipantID
		live []media.AttachKind
	}
	var room ident.RoomID
	var members []member
	d := x.ask(x.judge, "GET", "/desk", "", nil, 200)
	room = ident.RoomID(text(d, "session", "room_id"))
	list, _ := in(d, "session", "members").([]any)
	for _, m := range list {
		members = append(members, member{ident.ParticipantID(text(m, "participant")), []media.AttachKind{media.AttachFull}})
	}
	for _, m := range members {
		x.rooms.Watch(media.Presence{Room: room, Fence: 1, Participant: m.id, Live: m.live})
	}
	if err := x.rooms.Step(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
}

// join redeems an invitation on a phone of one's own.
func (x *table) join(token string) *client {
	x.t.Helper()
	phone := x.anyone()
	got := x.ask(phone, "POST", "/links/redeem", "", map[string]any{"token": token}, 201)
	phone.header.Set(rest.CSRFHeader, text(got, "csrf"))
	return phone
}

func (x *table) control(op string, args map[string]any) {
	x.t.Helper()
	body := map[string]any{"key": key(), "op": op}
	if args != nil {
		body["args"] = args
	}
	x.ask(x.judge, "POST", "/sessions/{id}/control", x.session, body, 200)
}

// drawn is a signature.
func drawn() map[string]any {
	return map[string]any{"w": 600, "h": 300, "strokes": [][]int{{50, 50, 0, 300, 200, 40, 500, 80, 90, 520, 240, 120}}}
}

// together brings both parties into the joint talk; it returns B's phone.
func (x *table) together() *client {
	x.t.Helper()
	x.register(201)
	d := x.staff("POST", "/invites", nil, map[string]any{"name": "被申请人乙", "phone": "13800000002", "role": "respondent", "side": "B"})
	x.b = text(x.party(d, "B"), "id")
	x.answerAll(x.box.link)
	rows := x.texts()
	if len(rows) == 0 {
		x.t.Fatal("no invitation was sent")
	}
	token, found := strings.CutPrefix(text(rows[0], "link"), "https://heyi.test/join/")
	if !found || !strings.Contains(text(rows[0], "text"), "申请人甲") {
		x.t.Fatalf("%v", rows)
	}
	b := x.join(token)
	x.ask(x.box.link, "POST", "/sessions/{id}/media-tickets", x.session, map[string]any{"attach": "full"}, 200)
	x.ask(b, "POST", "/sessions/{id}/media-tickets", x.session, map[string]any{"attach": "full"}, 200)
	x.ask(x.judge, "POST", "/sessions/{id}/media-tickets", x.session, map[string]any{"attach": "full"}, 200)
	x.seen()
	x.staff("PUT", "/disclosure", nil, map[string]any{"text": "我和双方没有亲属或利害关系"})
	x.answerAll(x.box.link)
	x.answerAll(b)
	for side, who := range map[string]*client{"A": x.box.link, "B": b} {
		p := x.party(x.askParts(x.judge, "GET", "/disputes/{id}", nil, nil), side)
		part := map[string]string{"party": text(p, "id")}
		phone, methods := "13800000001", []string{"card", "face"}
		if side == "B" {
			phone, methods = "13800000002", append(methods, "phone_code")
		}
		x.staff("PUT", "/parties/{party}", part, map[string]any{
			"name": text(p, "name"), "id_no": idNo(side), "phone": phone, "sex": "male", "ethnic": "汉族", "birth_year": 1970, "address": "示例村", "occupation": "牧民",
		})
		x.control("check", map[string]any{"participant": text(p, "participant")})
		if side == "B" {
			x.staff("POST", "/parties/{party}/phone-codes", part, map[string]any{})
			sms := text(x.texts()[0], "text")
			code := sms[strings.Index(sms, "核验码 ")+len("核验码 "):][:6]
			who.want(422, "identity.wrong_code", "POST", "/dispute/phone-code", map[string]any{"key": key(), "code": otherCode(code)}, nil)
			x.mine(who, "/phone-code", map[string]any{"code": code})
		}
		x.staff("POST", "/parties/{party}/identity", part, map[string]any{"methods": methods, "passed": true})
	}
	x.seen()
	x.control("joint", nil)
	return b
}

// idNo is a well-formed identity number of nobody.
func idNo(side string) string {
	if side == "A" {
		return checked("15043019700101001")
	}
	return checked("15043019700202002")
}

func checked(s string) string {
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return s + string("10X98765432"[sum%11])
}

func otherCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// draft writes an agreement that can be frozen.
func (x *table) draft(category string) map[string]any {
	x.t.Helper()
	by := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	clause := func(id, kind string, more map[string]any) map[string]any {
		c := map[string]any{
			"id": id, "kind": kind, "who": x.b, "to": x.a, "what": "", "amount_fen": nil, "by": by, "how": "", "late": "申请人甲可以向人民法院起诉", "text": "",
			"instalments": []any{}, "tags": []any{}, "tags_confirmed": true,
		}
		maps.Copy(c, more)
		return c
	}
	x.judge.header.Set("If-Match", `"0"`)
	d := x.staff("PUT", "/agreement", nil, map[string]any{"form": "written", "facts": category + "租期已满，被申请人乙没有退还草牧场。", "clauses": []any{
		clause("1", "return", map[string]any{"what": "位于示例村东沟的草牧场600亩", "how": "双方到现场交接，签交接单"}),
		clause("2", "pay", map[string]any{"what": "2025年度草牧场租金", "amount_fen": 1860000, "how": "现金当面付清"}),
	}})
	if lint, _ := in(d, "agreement", "lint").([]any); len(lint) > 0 {
		x.t.Fatalf("the draft has %v", lint)
	}
	return d
}

func (x *table) freeze() map[string]any {
	x.t.Helper()
	d := x.askParts(x.judge, "GET", "/disputes/{id}", nil, nil)
	return x.staff("POST", "/agreement/freeze", nil, map[string]any{"revision": in(d, "agreement", "revision")})
}

// readBack reads every block and keys the code.
func (x *table) readBack(c *client) {
	x.t.Helper()
	v := x.ask(c, "GET", "/dispute", "", nil, 200)
	digest, code := text(v, "agreement", "digest"), text(v, "agreement", "code")
	c.want(409, "agreement.readback_incomplete", "POST", "/dispute/agreement/readback", map[string]any{"key": key(), "digest": digest, "code": code}, nil)
	blocks, _ := in(v, "agreement", "blocks").([]any)
	for _, b := range blocks {
		x.mine(c, "/agreement/read", map[string]any{"digest": digest, "clause": in(b, "n")})
	}
	c.want(409, "agreement.wrong_digest", "POST", "/dispute/agreement/read", map[string]any{"key": key(), "digest": strings.Repeat("0", 64), "clause": 1}, nil)
	c.want(422, "agreement.wrong_code", "POST", "/dispute/agreement/readback", map[string]any{"key": key(), "digest": digest, "code": otherCode(code)}, nil)
	v = x.mine(c, "/agreement/readback", map[string]any{"digest": digest, "code": code})
	if in(v, "agreement", "readback_ok") != true {
		x.t.Errorf("%v", v)
	}
}

// From the registration to the mediator's signature over REST, every answer as openapi says it.
func TestAgreementOverREST(t *testing.T) {
	t.Parallel()
	x := sitDown(t)
	x.box.link.want(404, "dispute.none", "GET", "/dispute", nil, nil)
	b := x.together()
	d := x.staff("POST", "/statements", nil, map[string]any{"kind": "undisputed_fact", "text": "租金没有争议"})
	if !strings.HasSuffix(text(d, "number"), "字第000001号") || text(d, "state") != "mediating" {
		t.Errorf("%v", d)
	}
	x.draft("")
	x.judge.want(412, "agreement.stale_revision", "PUT", "/disputes/"+x.id+"/agreement", map[string]any{"form": "written", "facts": "旧", "clauses": []any{}}, nil)
	x.judge.want(412, "agreement.stale_revision", "POST", "/disputes/"+x.id+"/agreement/freeze", map[string]any{"key": key(), "revision": 99}, nil)
	d = x.freeze()
	digest := text(d, "agreement", "digest")
	b.want(409, "agreement.readback_incomplete", "POST", "/dispute/agreement/sign", map[string]any{"key": key(), "digest": digest, "mark": drawn()}, nil)
	x.readBack(x.box.link)
	x.readBack(b)
	block := map[string]any{"digest": digest, "clause": 4, "on": true}
	x.mine(b, "/agreement/unclear", block)
	if list, _ := in(x.party(x.askParts(x.judge, "GET", "/disputes/{id}", nil, nil), "B"), "unclear").([]any); len(list) != 1 {
		t.Errorf("the desk shows %v as unclear", list)
	}
	block["on"] = false
	x.mine(b, "/agreement/unclear", block)

	// A signs on a phone by the one-use link, B on his own
	x.box.link.want(401, "auth.required", "POST", "/dispute/agreement/sign", map[string]any{"key": key(), "digest": digest, "mark": drawn()}, nil)
	b.want(401, "auth.required", "POST", "/dispute/agreement/handover", map[string]any{"key": key()}, nil)
	over := x.ask(x.box.link, "POST", "/dispute/agreement/handover", "", map[string]any{"key": key()}, 200)
	peek := x.ask(x.anyone(), "POST", "/links/peek", "", map[string]any{"code": strings.ToLower(text(over, "code"))}, 200)
	if text(peek, "purpose") != "sign" || text(peek, "state") != "live" {
		t.Errorf("%v", peek)
	}
	token, _ := strings.CutPrefix(text(over, "url"), "https://heyi.test/s/")
	phone := x.join(token)
	x.anyone().want(409, "token.spent", "POST", "/links/redeem", map[string]any{"token": token}, nil)
	phone.want(404, "session.none", "POST", "/sessions/"+x.session+"/media-tickets", map[string]any{"attach": "full"}, nil)
	x.judge.want(409, "agreement.readback_incomplete", "POST", "/disputes/"+x.id+"/agreement/sign", map[string]any{"key": key(), "digest": digest, "password": staffPassword, "mark": drawn()}, nil)
	for _, c := range []*client{phone, b} {
		c.want(409, "agreement.wrong_digest", "POST", "/dispute/agreement/sign", map[string]any{"key": key(), "digest": strings.Repeat("0", 64), "mark": drawn()}, nil)
		v := x.mine(c, "/agreement/sign", map[string]any{"digest": digest, "mark": drawn()})
		if in(v, "me", "signed_at") == nil {
			t.Errorf("%v", v)
		}
		c.want(409, "agreement.already_signed", "POST", "/dispute/agreement/sign", map[string]any{"key": key(), "digest": digest, "mark": drawn()}, nil)
	}
	x.judge.want(403, "agreement.reauth_required", "POST", "/disputes/"+x.id+"/agreement/sign", map[string]any{"key": key(), "digest": digest, "password": "wrong", "mark": drawn()}, nil)
	x.judge.want(409, "agreement.wrong_digest", "POST", "/disputes/"+x.id+"/agreement/sign",
		map[string]any{"key": key(), "digest": strings.Repeat("0", 64), "password": staffPassword, "mark": drawn()}, nil)
	d = x.staff("POST", "/agreement/sign", nil, map[string]any{"digest": digest, "password": staffPassword, "mark": drawn()})
	if text(d, "agreement", "state") != "mediator_signed" {
		t.Errorf("%v", in(d, "agreement", "state"))
	}

	// the frozen PDF, for staff and for the parties, as a file that is saved and not run
	name := text(d, "agreement", "pdf_sha256")
	for who, path := range map[*client]string{x.judge: "/disputes/" + x.id + "/files/" + name, b: "/dispute/files/" + name, phone: "/dispute/files/" + name} {
		body, h := who.download(path)
		sum := sha256.Sum256(body)
		if hex.EncodeToString(sum[:]) != name || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || h.Get("Content-Type") != "application/pdf" {
			t.Errorf("%s: %d bytes, %v", path, len(body), h)
		}
	}
	x.judge.want(404, "file.none", "GET", "/disputes/"+x.id+"/files/"+strings.Repeat("0", 64), nil, nil)
	b.want(404, "file.none", "GET", "/dispute/files/"+strings.Repeat("0", 64), nil, nil)
}

// download fetches a file.
func (c *client) download(path string) ([]byte, http.Header) {
	c.h.t.Helper()
	r, err := http.NewRequestWithContext(c.h.t.Context(), http.MethodGet, c.h.url+path, nil)
	if err != nil {
		c.h.t.Fatal(err)
	}
	r.Header = c.header
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.h.t.Fatalf("%s: %d %s %v", path, res.StatusCode, body, err)
	}
	return body, res.Header
}

// What stands in the way before everybody talks, each with its own code.
func TestBeforeTheJointTalk(t *testing.T) {
	t.Parallel()
	x := sitDown(t)
	post := func(status int, code, path string, body map[string]any) {
		t.Helper()
		body["key"] = key()
		x.judge.want(status, code, "POST", path, body, nil)
	}
	register := map[string]any{"mediation_kind": "people", "category": "land", "applicant": map[string]any{"name": "申请人甲"}, "facts": "事", "requests": []string{}}
	for field, bad := range map[string]struct {
		value any
		code  string
	}{
		"mediation_kind": {"war", "dispute.bad_kind"}, "category": {"unsure", "dispute.bad_category"}, "facts": {"", "dispute.bad_text"},
		"applicant": {map[string]any{"name": ""}, "party.bad_name"},
	} {
		body := maps.Clone(register)
		body[field] = bad.value
		post(422, bad.code, "/sessions/"+x.session+"/dispute", body)
	}
	post(404, "session.none", "/sessions/nonsense/dispute", register)
	x.register(201)
	d := "/disputes/" + x.id
	post(409, "dispute.respondent_missing", "/sessions/"+x.session+"/control", map[string]any{"op": "joint"})
	x.judge.want(404, "dispute.none", "GET", "/disputes/nonsense", nil, nil)
	x.judge.want(404, "dispute.none", "GET", "/disputes/"+key(), nil, nil)
	x.signIn("op").want(403, "auth.role", "GET", d, nil, nil)
	post(422, "party.bad_phone", d+"/invites", map[string]any{"name": "被申请人乙", "phone": "12", "role": "respondent", "side": "B"})
	post(422, "party.bad_name", d+"/invites", map[string]any{"name": "", "phone": "13800000002", "role": "respondent", "side": "B"})
	v := x.staff("POST", "/invites", nil, map[string]any{"name": "被申请人乙", "phone": "13800000002", "role": "respondent", "side": "B"})
	b := x.party(v, "B")
	if text(b, "link", "state") != "inert" || in(b, "here") != false {
		t.Errorf("%v", b)
	}
	token, _ := secrets().Of(ident.LinkID(text(b, "link", "id")))
	anyone := x.anyone()
	anyone.want(409, "link.inert", "POST", "/links/redeem", map[string]any{"token": token}, nil)
	anyone.want(404, "link.unknown", "POST", "/links/redeem", map[string]any{"token": "nonsense"}, nil)
	anyone.want(401, "auth.required", "GET", "/links/mine", nil, nil)
	x.answerAll(x.box.link)
	peek := x.ask(anyone, "POST", "/links/peek", "", map[string]any{"token": token}, 200)
	if text(peek, "from") != "申请人甲" || text(peek, "state") != "live" || text(peek, "purpose") != "join" || !strings.HasSuffix(text(peek, "unit"), "人民调解委员会") {
		t.Errorf("%v", peek)
	}
	phone := x.join(token)
	if mine := x.ask(phone, "GET", "/links/mine", "", nil, 200); text(mine, "csrf") != phone.header.Get(rest.CSRFHeader) {
		t.Errorf("%v", mine)
	}
	x.ask(phone, "POST", "/links/mine/link-tokens", "", map[string]any{"instance": "p1"}, 200)
	phone.want(422, "link.bad_instance", "POST", "/links/mine/link-tokens", map[string]any{"instance": ""}, nil)
	part := d + "/parties/" + text(b, "id")
	post(409, "identity.not_checking", part+"/identity", map[string]any{"methods": []string{"card", "face"}, "passed": true})
	post(422, "identity.not_passed", part+"/identity", map[string]any{"methods": []string{"card", "face"}, "passed": false})
	phone.want(404, "ask.none", "POST", "/dispute/answers", map[string]any{"key": key(), "ask_id": key(), "yes": true}, nil)
	phone.want(409, "identity.no_code", "POST", "/dispute/phone-code", map[string]any{"key": key(), "code": "123456"}, nil)
	post(404, "agreement.none", d+"/agreement/freeze", map[string]any{"revision": 0})

	// B leaves: everything is over, his phone may still read what is his
	over := x.mine(phone, "/withdraw", map[string]any{})
	if text(over, "state") != "not_accepted" || text(over, "closing", "code") != "4" {
		t.Errorf("%v", over)
	}
	x.ask(phone, "GET", "/dispute", "", nil, 200)
	done := x.staff("POST", "/guidance", nil, map[string]any{"how": "read_aloud"})
	if text(done, "state") != "closed" || in(done, "closing", "guided_at") == nil {
		t.Errorf("%v", done)
	}
}

// An invitation that is taken back opens nothing.
func TestRevokedInvitation(t *testing.T) {
	t.Parallel()
	x := sitDown(t)
	x.register(201)
	v := x.staff("POST", "/invites", nil, map[string]any{"name": "被申请人乙", "phone": "13800000002", "role": "respondent", "side": "B"})
	b := x.party(v, "B")
	token, _ := secrets().Of(ident.LinkID(text(b, "link", "id")))
	x.answerAll(x.box.link)
	x.staff("POST", "/invites/{link}/revoke", map[string]string{"link": text(b, "link", "id")}, map[string]any{})
	if peek := x.ask(x.anyone(), "POST", "/links/peek", "", map[string]any{"token": token}, 200); text(peek, "state") != "over" || text(peek, "from") != "" {
		t.Errorf("%v", peek)
	}
	x.anyone().want(410, "token.expired", "POST", "/links/redeem", map[string]any{"token": token}, nil)
	x.judge.want(404, "link.unknown", "POST", "/disputes/"+x.id+"/invites/"+key()+"/revoke", map[string]any{"key": key()}, nil)
}

// A party that does not want to sign ends the dispute; the routes are told and the record goes on.
func TestRefusalOverREST(t *testing.T) {
	t.Parallel()
	x := sitDown(t)
	b := x.together()
	x.draft("")
	x.freeze()
	v := x.mine(b, "/agreement/refuse", map[string]any{"reason": "数额不对"})
	if text(v, "state") != "terminated" || text(v, "closing", "code") != "7" {
		t.Errorf("%v", v)
	}
	if routes, _ := in(v, "closing", "routes").([]any); len(routes) == 0 {
		t.Error("nobody hears of the other ways")
	}
	x.judge.want(409, "dispute.state", "POST", "/disputes/"+x.id+"/agreement/revise", map[string]any{"key": key()}, nil)
	x.judge.want(422, "guidance.bad_how", "POST", "/disputes/"+x.id+"/guidance", map[string]any{"key": key(), "how": "thought"}, nil)
	if d := x.staff("POST", "/guidance", nil, map[string]any{"how": "shown"}); text(d, "state") != "guided" {
		t.Errorf("%v", text(d, "state"))
	}
}

// upload posts a multipart form.
func (c *client) upload(path string, fields map[string]string, files map[string][]byte) (int, string, map[string]any) {
	c.h.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, v := range fields {
		if err := w.WriteField(name, v); err != nil {
			c.h.t.Fatal(err)
		}
	}
	for name, body := range files {
		part, err := w.CreateFormFile(name, name+".pdf")
		if err == nil {
			_, err = part.Write(body)
		}
		if err != nil {
			c.h.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.h.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.h.t.Context(), http.MethodPost, c.h.url+path, &b)
	if err != nil {
		c.h.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	r.Header.Set("Content-Type", w.FormDataContentType())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.h.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		c.h.t.Fatalf("%s: %s: %v", path, raw, err)
	}
	code, _ := out["code"].(string)
	return res.StatusCode, code, out
}

func TestUploads(t *testing.T) {
	t.Parallel()
	x := sitDown(t)
	x.register(201)
	path := "/disputes/" + x.id + "/agreement/paper"
	good := map[string]string{"key": key(), "password": staffPassword, "signed_on": "2026-11-01"}
	pdf := []byte("%PDF-1.7\n")
	for name, tt := range map[string]struct {
		path   string
		fields map[string]string
		files  map[string][]byte
		status int
		code   string
	}{
		"no scan":             {path, good, nil, 422, "request.file_missing"},
		"an empty scan":       {path, good, map[string][]byte{"scan": {}}, 422, "request.file_missing"},
		"an unknown field":    {path, map[string]string{"colour": "red"}, map[string][]byte{"scan": pdf}, 422, "request.unknown_field"},
		"an unknown file":     {path, good, map[string][]byte{"scam": pdf}, 422, "request.unknown_field"},
		"no picture":          {path, good, map[string][]byte{"scan": []byte("GIF89a")}, 422, "agreement.bad_scan"},
		"a file over 20 MiB":  {path, good, map[string][]byte{"scan": make([]byte, 20<<20+1)}, 422, "request.file_too_large"},
		"nothing to sign yet": {path, good, map[string][]byte{"scan": pdf}, 404, "agreement.none"},
		"nothing to check":    {"/verify", nil, nil, 422, "request.file_missing"},
		"a check":             {"/verify", map[string]string{"digest": "00"}, map[string][]byte{"files": pdf}, 200, ""},
	} {
		status, code, out := x.judge.upload(tt.path, tt.fields, tt.files)
		if status != tt.status || code != tt.code {
			t.Errorf("%s: %d %q, want %d %q", name, status, code, tt.status, tt.code)
		}
		if status == 200 && out["findings"] == nil {
			t.Errorf("%s: %v", name, out)
		}
	}
	x.judge.want(422, "request.content_type", "POST", path, map[string]any{"key": key()}, nil)
	x.ask(x.anyone(), "GET", "/verify/keys", "", nil, 200)
}
