package store_test

import (
	"testing"

	"heyi/internal/coord/memcoord"
	"heyi/internal/ident"
	"heyi/internal/sign"
	"heyi/internal/spoken"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/partylink"
)

// A party's link from the invitation to the end of its right, over the services that the doors use.
func TestPartyLinks(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.register(mediation.Contract)
		k.yes(k.a)
		v, err := k.dockets.Invite(h.ctx(), k.staff, k.id, flow.InviteBody{Key: newKey(), Name: "被申请人乙", Phone: "13800138000", Role: "respondent", Side: "B"})
		h.ok(err)
		id := v.Parties[1].Link.ID
		token, code := partylink.NewSecrets(make([]byte, 32)).Of(id)
		links := partylink.NewLinks(partylink.Deps{
			Store: h.store, Redeem: k.dockets.Redeem, Describe: k.dockets.Describe, Limiter: memcoord.New(h.clock.Now), Now: h.clock.Now, AnAddr: 100,
		})
		peek := func(token, code string) partylink.Found {
			t.Helper()
			f, err := links.Peek(h.ctx(), "a", token, code)
			h.ok(err)
			return f
		}
		redeem := func(token string) (string, error) {
			cookie, _, err := links.Redeem(h.ctx(), "a", token, "")
			return cookie, err
		}
		if f := peek(token, ""); f.State != partylink.Inert || f.From != "申请人甲" || f.Unit == "" || f.Mediator == "" || len(f.Place) == 0 {
			t.Errorf("%+v", f)
		}
		_, err = redeem(token)
		h.refused(err, "link.inert")
		_, err = links.Peek(h.ctx(), "a", "nonsense", "")
		h.refused(err, "link.unknown")
		k.yes(k.a)
		if f := peek("", spoken.Spelled(code)); f.State != partylink.Live || f.ID != id {
			t.Errorf("%+v", f)
		}
		cookie, err := redeem(token)
		h.ok(err)
		_, err = redeem(token)
		h.refused(err, "token.spent")
		for _, look := range []func() (partylink.Link, error){
			func() (partylink.Link, error) { return links.ByCookie(h.ctx(), cookie) },
			func() (partylink.Link, error) { return links.ByID(h.ctx(), id) },
		} {
			l, err := look()
			h.ok(err)
			if l.ID != id || string(l.Dispute) != k.id || l.Party != v.Parties[1].ID || l.Purpose != partylink.Join {
				t.Errorf("%+v", l)
			}
		}
		_, err = links.ByCookie(h.ctx(), "another")
		h.refused(err, "link.over")
		_, err = links.ByID(h.ctx(), ident.New[ident.LinkID]())
		h.refused(err, "link.over")

		// taken back: the phone is nobody from then on
		_, err = k.dockets.Revoke(h.ctx(), k.staff, k.id, string(id), flow.KeyBody{Key: newKey()})
		h.ok(err)
		_, err = links.ByCookie(h.ctx(), cookie)
		h.refused(err, "link.over")
		_, err = links.ByID(h.ctx(), id)
		h.refused(err, "link.over")
		_, err = redeem(token)
		h.refused(err, "token.expired")

		// neither token, code nor cookie stands in the database
		for _, secret := range []string{token, code, cookie} {
			var n int
			h.ok(h.store.One(h.ctx(), `SELECT count(*) FROM party_link WHERE token_hash = $1 OR code_hash = $1 OR cookie_hash = $1`, []any{secret}, &n))
			if n > 0 {
				t.Error("a secret stands open")
			}
		}
	})
}

// Only papers of what ended are vouched for.
func TestIssued(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		k := newTalk(t, h)
		k.together(mediation.Family)
		frozen := k.freeze().Agreement
		issued := func(digest string) bool {
			t.Helper()
			known, err := h.store.Issued(h.ctx(), digest)
			h.ok(err)
			return known
		}
		effective := func() int64 {
			t.Helper()
			at, err := h.store.EffectiveAgreement(h.ctx(), frozen.Digest)
			h.ok(err)
			return at
		}
		if issued(frozen.PDFSHA256) || effective() != 0 {
			t.Error("a text that nobody signed is vouched for")
		}
		scan := []byte("%PDF-1.7\nscan")
		_, err := k.dockets.Paper(h.ctx(), k.staff, k.id, flow.PaperBody{Key: newKey(), Password: secretWords, SignedOn: "2026-03-02", Scan: scan})
		h.ok(err)
		h.ok(k.finish.Step(h.ctx()))
		if !issued(frozen.PDFSHA256) || !issued(sign.SHA256(scan)) || effective() == 0 {
			t.Error("an effective agreement is unknown")
		}
		if issued(sign.SHA256([]byte("%PDF-1.7\nscam"))) || issued("") {
			t.Error("anything is vouched for")
		}
		at, err := h.store.EffectiveAgreement(h.ctx(), "")
		if h.ok(err); at != 0 {
			t.Error("no digest is an agreement")
		}
	})
}
