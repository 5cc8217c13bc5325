package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"heyi/cmd/heyi/app"
	"heyi/configs"
	"heyi/internal/fault"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/handoff"
	"heyi/mediation/parcel"
)

// served is a consultation at a television, from the ticket to the wrap-up, with a short answer.
func (d *terminal) served(lawyer *mediator) (sessionID string) {
	d.n.t.Helper()
	want := func(a answer, status int) answer {
		d.n.t.Helper()
		if a.status != status {
			d.n.t.Fatalf("%d %s, want %d", a.status, a.body, status)
		}
		return a
	}
	d.waits()
	want(lawyer.do(http.MethodPost, "/seat", map[string]string{"state": "ready"}), http.StatusOK)
	o := lawyer.offer()
	var desk struct{ Session *struct{ ID string } }
	want(lawyer.do(http.MethodPost, "/offers/"+o.ID+"/accept", map[string]int64{"ver": o.Ver}), http.StatusOK).into(d.n.t, &desk)
	id := desk.Session.ID
	var s struct{ Ticket *struct{ ID string } }
	d.do(http.MethodGet, "/situation", nil).into(d.n.t, &s)
	want(d.do(http.MethodPost, "/tickets/"+s.Ticket.ID+"/answer", map[string]any{"key": key(), "take": true}), http.StatusOK)
	note := lawyer.n.call(http.MethodPut, lawyer.n.url+"/api/v1/sessions/"+id+"/note", with(lawyer.header, "If-Match", `"0"`),
		map[string]string{"matter": "工地欠薪", "advice": "投诉", "answer": "可以申请仲裁，不收钱。", "materials": "工资条", "next_step": ""})
	want(note, http.StatusOK)
	want(lawyer.do(http.MethodPost, "/sessions/"+id+"/control", map[string]any{"key": key(), "op": "end", "args": map[string]any{}}), http.StatusOK)
	want(lawyer.do(http.MethodPost, "/sessions/"+id+"/wrap-up", map[string]any{"key": key(), "outcome": "served"}), http.StatusOK)
	return id
}

func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Set(name, value)
	return h
}

// documented demands that the answer to a GET is as the node's own document says.
func (n *node) documented(path string, a answer) {
	n.t.Helper()
	_, spec := n.get("/api/v1/openapi.yaml", nil)
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		n.t.Fatal(err)
	}
	var body any
	a.into(n.t, &body)
	schema := doc.Paths.Value(path).Get.Responses.Status(http.StatusOK).Value.Content.Get("application/json").Schema.Value
	if err := schema.VisitJSON(body, openapi3.MultiErrors()); err != nil {
		n.t.Errorf("GET %s: %v", path, err)
	}
}

type handoffRows struct {
	Rows []struct {
		ID, Subject, Kind, State, Target string
		Version, Attempts                int
		DeliveryID                       string `json:"delivery_id"`
		ReceiptNo                        string `json:"receipt_no"`
	}
	Total int
}

type caseRows struct {
	Rows []struct {
		ID, Subject, Kind, State, Unit string
		ReceiptNo                      string `json:"receipt_no"`
		Rating                         *int
	}
	Total int
}

// From the wrap-up to the case page, through every door of a real node, over a restart.
func TestAConsultationReachesTheCaseStore(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	n := start(t, cfg)
	d := n.claim()
	d.connect()
	lawyer := n.signIn("lvshi")
	lawyer.connect()
	id := d.served(lawyer)

	operator := n.signIn("yunwei")
	var sent handoffRows
	n.until("the receipt", func() bool {
		operator.do(http.MethodGet, "/handoffs", nil).into(t, &sent)
		return len(sent.Rows) == 1 && sent.Rows[0].State == "verified"
	})
	r := sent.Rows[0]
	if r.Subject != id || r.Kind != "consult" || r.Version != 1 || r.Target != "embedded" || !strings.HasPrefix(r.ReceiptNo, "R-150430206201-") || !strings.HasSuffix(r.ReceiptNo, "-000001") {
		t.Errorf("the row is %+v", r)
	}
	if a := operator.do(http.MethodPost, "/handoffs/"+r.ID+"/retry", map[string]string{"key": key()}); a.code() != "handoff.state" {
		t.Errorf("a verified one tried again: %d %s", a.status, a.body)
	}
	if a := lawyer.do(http.MethodGet, "/handoffs", nil); a.code() != "auth.role" {
		t.Errorf("a lawyer looks at the outbox: %d %s", a.status, a.body)
	}

	var list caseRows
	lawyer.do(http.MethodGet, "/cases?q="+r.ReceiptNo, nil).into(t, &list)
	if list.Total != 1 || list.Rows[0].Subject != id || list.Rows[0].State != "closed" {
		t.Fatalf("cases %+v", list)
	}
	at := "/cases/" + list.Rows[0].ID
	var c struct {
		Papers   []struct{ Name, Digest string }
		Versions []struct {
			Version int
			Seal    struct{ OK bool }
		}
	}
	lawyer.do(http.MethodGet, at, nil).into(t, &c)
	if len(c.Papers) != 2 || len(c.Versions) != 1 || !c.Versions[0].Seal.OK {
		t.Fatalf("the case is %+v", c)
	}
	n.documented("/handoffs", operator.do(http.MethodGet, "/handoffs", nil))
	n.documented("/cases", lawyer.do(http.MethodGet, "/cases", nil))
	n.documented("/cases/{id}", lawyer.do(http.MethodGet, at, nil))
	for _, p := range c.Papers {
		a := lawyer.do(http.MethodGet, at+"/files/"+p.Digest, nil)
		if a.status != http.StatusOK || sign.SHA256(a.body) != p.Digest || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %d %v", p.Name, a.status, a.header)
		}
	}
	a := lawyer.do(http.MethodGet, at+"/package?version=1", nil)
	p, err := parcel.Read(a.body)
	if err != nil || p.CheckSeal() != nil || parcel.DeliveryID(p.Payload) != r.DeliveryID {
		t.Errorf("the package: %d, %v", a.status, err)
	}
	if a := d.do(http.MethodGet, at, nil); a.status != http.StatusUnauthorized {
		t.Errorf("a terminal reads a case: %d", a.status)
	}

	if a := d.do(http.MethodPost, "/sessions/"+id+"/rating", map[string]any{"key": key(), "score": 5, "skip": false}); a.status != http.StatusNoContent {
		t.Fatalf("rating: %d %s", a.status, a.body)
	}
	n.stop() // whatever it was doing; the same data goes on
	n = start(t, cfg)
	lawyer = n.signIn("lvshi")
	n.until("the rating in the case", func() bool {
		lawyer.do(http.MethodGet, "/cases", nil).into(t, &list)
		return list.Total == 1 && list.Rows[0].Rating != nil
	})
	n.stop()
	for args, want := range map[string]string{"handoff list": "ATTEMPTS", "handoff retry -all-dead": "0 packages", "handoff key": "alg: ed25519"} {
		var out bytes.Buffer
		if err := app.Admin(t.Context(), cfg, strings.Fields(args), &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("heyi admin %s: %v\n%s", args, err, out.String())
		}
	}
	if err := app.Admin(t.Context(), cfg, []string{"handoff", "retry", "nothing"}, new(bytes.Buffer)); fault.CodeOf(err) != "handoff.none" {
		t.Errorf("retry of nothing: %v", err)
	}
}

// The case store alone takes packages of another installation over the network.
func TestACaseStoreOfItsOwn(t *testing.T) {
	t.Parallel()
	sender, err := sign.New(sign.Ed25519, "sender-1")
	if err != nil {
		t.Fatal(err)
	}
	committee, err := sign.New(sign.SM2, "committee-1")
	if err != nil {
		t.Fatal(err)
	}
	cfg := demoConfig(t)
	cfg.Roles = []string{configs.RoleCases}
	cfg.Cases.Senders = []configs.Sender{{Name: "敖汉旗", KID: sender.KID, Alg: string(sender.Alg), Pub: sign.Text(sender.Public)}}
	cfg.Cases.SealKeys = filepath.Join(t.TempDir(), "keys.json")
	keys, err := json.Marshal(sign.KeyList{Keys: []sign.Published{committee.Publish("150430206000", 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Cases.SealKeys, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, cfg)
	remote := &handoff.Remote{Address: n.url, Client: n.http}
	files := []parcel.File{{Name: "08-人民调解协议书.pdf", MediaType: "application/pdf", Paper: 8, Body: []byte("%PDF-1.7")}}
	request := func(by sign.Key, rating int) parcel.Request {
		t.Helper()
		payload, signed, err := parcel.Make(mediation.Manifest{
			Subject: "d1", Kind: parcel.Dossier, Version: 1, Unit: "150430206000", Number: "(2026)敖萨人调字第000001号", ClosingCode: "1", Category: "land",
			MadeAt: time.Now().UnixMicro(), EffectiveAt: 1, Rating: rating, Parties: []mediation.ManifestParty{{Name: "申请人甲", Side: "A"}}, HandOffConsent: true,
		}, nil, files, by.Sign)
		if err != nil {
			t.Fatal(err)
		}
		body, err := parcel.Write(payload, signed, files)
		if err != nil {
			t.Fatal(err)
		}
		r, err := parcel.NewRequest(sender, parcel.DeliveryID(payload), time.Now().UnixMicro(), body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := request(committee, 0)
	got, err := remote.Put(t.Context(), first)
	if err != nil || !strings.HasPrefix(got.No, "R-150430206000-") || got.Digest != first.DeliveryID {
		t.Fatalf("%+v, %v", got, err)
	}
	again, err := remote.Put(t.Context(), first)
	if err != nil || again != got {
		t.Errorf("a repeat answers %+v, %v", again, err)
	}
	if _, err := remote.Put(t.Context(), request(committee, 3)); fault.CodeOf(err) != "handoff.digest_conflict" {
		t.Errorf("other words under the same version: %v", err)
	}
	forged := first
	forged.Sender = "sender-2"
	if _, err := remote.Put(t.Context(), forged); fault.CodeOf(err) != "handoff.unknown_sender" {
		t.Errorf("a stranger: %v", err)
	}
	forged = first
	forged.Body = append([]byte(nil), first.Body...)
	forged.Body[600]++
	if _, err := remote.Put(t.Context(), forged); fault.CodeOf(err) != "handoff.bad_signature" {
		t.Errorf("a changed byte: %v", err)
	}

	clerk := n.signIn("yunwei")
	var list caseRows
	clerk.do(http.MethodGet, "/cases?q=申请人甲", nil).into(t, &list)
	if list.Total != 1 || list.Rows[0].State != "verified" || list.Rows[0].ReceiptNo != got.No {
		t.Errorf("cases %+v", list)
	}
	if a := n.call(http.MethodGet, n.url+"/api/v1/situation", nil, nil); a.status != http.StatusNotFound {
		t.Errorf("a case store alone serves terminals: %d", a.status)
	}
}
