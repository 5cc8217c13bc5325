package proof_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"heyi/internal/audit"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
	"heyi/mediation/proof"
)

const (
	unit   = "敖汉旗萨力巴乡人民调解委员会"
	madeAt = 3_600_000_000 // one hour after 1970
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T, alg sign.Alg, kid string) sign.Key {
	t.Helper()
	k, err := sign.New(alg, kid)
	must(t, err)
	return k
}

// dossier is a small package as the finisher makes them.
type dossier struct {
	manifest   mediation.Manifest
	signatures []mediation.SignatureEntry
	files      []parcel.File
}

func newDossier(t *testing.T, clause string) dossier {
	t.Helper()
	blocks := []paper.Block{{N: 1, T: paper.TitleBlock, Lines: []string{"人民调解协议书"}}, {N: 2, T: paper.ClauseBlock, Lines: []string{clause}}}
	pdf := []byte("%PDF " + clause)
	d, err := paper.DigestOf(blocks, pdf, 1)
	must(t, err)
	mark := paper.Mark{W: 100, H: 50, Strokes: [][]int{{1, 1, 0, 90, 40, 5, 1, 40, 9, 90, 1, 12}}}
	sum, err := mark.SHA256()
	must(t, err)
	r := paper.NewRecord(blocks, d)
	r.Mode, r.Marks = "electronic", []paper.Mark{mark, mark}
	for _, role := range []string{"party", "mediator"} {
		r.Signatures = append(r.Signatures, mediation.SignatureEntry{Role: role, Name: "申请人甲", Digest: r.Digest, Method: "mark", MarkSHA256: sum})
	}
	data, err := r.Bytes()
	must(t, err)
	e := audit.Event{Aggregate: "dispute", ID: "d", Seq: 1, Type: "dispute.registered"}
	e.Hash = audit.Sum(e)
	chain, err := audit.Export([]audit.Event{e})
	must(t, err)
	return dossier{
		manifest:   mediation.Manifest{Subject: "d", Kind: parcel.Dossier, Version: 1, Unit: "150430206000", UnitName: unit, Number: "(2026)敖萨人调字第000001号", MadeAt: madeAt},
		signatures: r.Signatures,
		files: []parcel.File{
			{Name: "08-人民调解协议书.pdf", MediaType: "application/pdf", Paper: 8, Body: pdf},
			{Name: paper.RecordFile, MediaType: "application/json", Paper: 8, Body: data},
			{Name: "events.json", MediaType: "application/json", Body: chain},
		},
	}
}

func (d dossier) pack(t *testing.T, k sign.Key) []byte {
	t.Helper()
	payload, sigs, err := parcel.Make(d.manifest, d.signatures, d.files, k.Sign)
	must(t, err)
	b, err := parcel.Write(payload, sigs, d.files)
	must(t, err)
	return b
}

func list(keys ...sign.Published) *sign.KeyList { return &sign.KeyList{Keys: keys} }

func tarFile(b []byte) []proof.File { return []proof.File{{Name: "package.tar", Body: b}} }

func wrong(res proof.Result) []string {
	var out []string
	for _, f := range res.Findings {
		if !f.OK {
			out = append(out, f.Code)
		}
	}
	return out
}

func TestWholePackage(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		k := newKey(t, alg, "seal-1")
		d := newDossier(t, "一、付清。")
		b := d.pack(t, k)
		keys := list(k.Publish(unit, 0))
		res := proof.Check(tarFile(b), keys, "")
		if !res.OK || len(res.Findings) < 8 {
			t.Errorf("%s: %+v", alg, res)
		}
		if res := proof.Check(tarFile(b), nil, ""); res.OK || !slices.Equal(wrong(res), []string{proof.CodeUnchecked}) {
			t.Errorf("%s without keys: %v", alg, wrong(res))
		}
		p, err := parcel.Read(b)
		must(t, err)
		loose := []proof.File{{Name: "x/manifest.json", Body: p.Payload}, {Name: `C:\x\signatures.json`, Body: p.Signatures}}
		for _, f := range p.Files {
			loose = append(loose, proof.File{Name: f.Name, Body: f.Body})
		}
		if res := proof.Check(loose, keys, ""); !res.OK {
			t.Errorf("%s, single files: %v", alg, wrong(res))
		}
		if res := proof.Check(loose[:4], keys, ""); res.OK || !slices.Contains(wrong(res), proof.CodeMissing) {
			t.Errorf("%s, a file missing: %v", alg, wrong(res))
		}
		if res := proof.Check(append(loose, proof.File{Name: "09.pdf", Body: []byte("x")}), keys, ""); res.OK || !slices.Equal(wrong(res), []string{proof.CodeExtra}) {
			t.Errorf("%s, a file too many: %v", alg, wrong(res))
		}
		if res := proof.Check(loose[2:3], keys, ""); res.OK || !slices.Equal(wrong(res), []string{proof.CodeNoManifest}) {
			t.Errorf("%s, one paper alone: %v", alg, wrong(res))
		}
	}
	if res := proof.Check(nil, nil, ""); res.OK {
		t.Error("nothing: OK")
	}
}

// TestOneChangedByteFails flips one bit of every byte of a package (invariant D9).
func TestOneChangedByteFails(t *testing.T) {
	t.Parallel()
	k := newKey(t, sign.Ed25519, "seal-1")
	b := newDossier(t, "一、付清。").pack(t, k)
	keys := list(k.Publish(unit, 0))
	if !proof.Check(tarFile(b), keys, "").OK {
		t.Fatal("the untouched package fails")
	}
	for i := range b {
		b[i] ^= 1 << (i % 8)
		if proof.Check(tarFile(b), keys, "").OK {
			t.Errorf("byte %d of %d changed: OK", i, len(b))
		}
		b[i] ^= 1 << (i % 8)
	}
	for name, changed := range map[string][]byte{
		"cut":             b[:len(b)-1024],
		"longer":          append(slices.Clone(b), 0),
		"one block more":  append(slices.Clone(b), make([]byte, 512)...),
		"something after": append(slices.Clone(b), b...),
	} {
		if proof.Check(tarFile(changed), keys, "").OK {
			t.Errorf("%s: OK", name)
		}
	}
}

// TestForgedAndSealedAgain: whoever changes the agreement and puts a good seal of another key on it is found out.
func TestForgedAndSealedAgain(t *testing.T) {
	t.Parallel()
	ours := newKey(t, sign.SM2, "seal-1")
	forged := newDossier(t, "一、什么都不用付。")
	for name, tt := range map[string]struct {
		key  sign.Key
		keys *sign.KeyList
	}{
		"a key of his own":               {newKey(t, sign.SM2, "seal-9"), list(ours.Publish(unit, 0))},
		"his key under our name":         {newKey(t, sign.SM2, "seal-1"), list(ours.Publish(unit, 0))},
		"his key of another kind":        {newKey(t, sign.Ed25519, "seal-1"), list(ours.Publish(unit, 0))},
		"an empty list":                  {ours, list()},
		"a key that came later":          {ours, list(ours.Publish(unit, 2*madeAt))},
		"another committee's real seal":  {ours, list(ours.Publish("赤峰市红山区西城人民调解委员会", 0))},
		"a key that was out of use then": {ours, list(sign.Published{KID: "seal-1", Alg: ours.Alg, Pub: sign.Text(ours.Public), Unit: unit, ToAt: new(int64)})},
	} {
		res := proof.Check(tarFile(forged.pack(t, tt.key)), tt.keys, "")
		if res.OK || !slices.Equal(wrong(res), []string{proof.CodeIssuer}) {
			t.Errorf("%s: %v", name, wrong(res))
		}
	}
}

// TestInnerContradictions: packages that a careless issuer could seal, but whose parts do not belong together.
func TestInnerContradictions(t *testing.T) {
	t.Parallel()
	k := newKey(t, sign.Ed25519, "seal-1")
	keys := list(k.Publish(unit, 0))
	record := func(d *dossier, change func(*paper.Record)) {
		r, err := paper.ParseRecord(d.files[1].Body)
		must(t, err)
		change(&r)
		d.files[1].Body, err = r.Bytes()
		must(t, err)
	}
	for name, tt := range map[string]struct {
		change func(*dossier)
		code   string
	}{
		"another clause":         {func(d *dossier) { record(d, func(r *paper.Record) { r.Blocks[1].Lines[0] = "一、不付。" }) }, proof.CodeAgreement},
		"another version":        {func(d *dossier) { record(d, func(r *paper.Record) { r.V = 2 }) }, proof.CodeAgreement},
		"another PDF":            {func(d *dossier) { d.files[0].Body = []byte("%PDF other") }, proof.CodeAgreement},
		"PDF not as paper 8":     {func(d *dossier) { d.files[0].Paper = 6 }, proof.CodeAgreement},
		"signed something else":  {func(d *dossier) { record(d, func(r *paper.Record) { r.Signatures[0].Digest = r.BlocksSHA256 }) }, proof.CodeSignatures},
		"another hand":           {func(d *dossier) { record(d, func(r *paper.Record) { r.Marks[0].W++ }) }, proof.CodeSignatures},
		"other names outside":    {func(d *dossier) { d.signatures = slices.Clone(d.signatures); d.signatures[0].Name = "张三" }, proof.CodeSignatures},
		"fewer names outside":    {func(d *dossier) { d.signatures = d.signatures[:1] }, proof.CodeSignatures},
		"signatures, no clauses": {func(d *dossier) { d.files = slices.Delete(d.files, 1, 2) }, proof.CodeSignatures},
		"record unreadable":      {func(d *dossier) { d.files[1].Body = []byte("{}") }, proof.CodeAgreement},
		"altered event": {func(d *dossier) {
			d.files[2].Body = bytes.Replace(d.files[2].Body, []byte("registered"), []byte("terminated"), 1)
		}, proof.CodeEvents},
		"events unreadable": {func(d *dossier) { d.files[2].Body = []byte("[]") }, proof.CodeEvents},
	} {
		d := newDossier(t, "一、付清。")
		tt.change(&d)
		res := proof.Check(tarFile(d.pack(t, k)), keys, "")
		if res.OK || !slices.Equal(wrong(res), []string{tt.code}) {
			t.Errorf("%s: %v", name, wrong(res))
		}
	}
}

func TestDigestOfTheQRCode(t *testing.T) {
	t.Parallel()
	k := newKey(t, sign.Ed25519, "seal-1")
	d := newDossier(t, "一、付清。")
	keys := list(k.Publish(unit, 0))
	b := d.pack(t, k)
	if res := proof.Check(tarFile(b), keys, d.signatures[0].Digest); !res.OK {
		t.Errorf("its own digest: %v", wrong(res))
	}
	if res := proof.Check(tarFile(b), keys, strings.Repeat("0", 64)); res.OK || !slices.Equal(wrong(res), []string{proof.CodeDigest}) {
		t.Errorf("another digest: %v", wrong(res))
	}
}

// TestHiddenInTheEnvelope: signatures.json is outside the seal, so only its one form counts.
func TestHiddenInTheEnvelope(t *testing.T) {
	t.Parallel()
	k := newKey(t, sign.Ed25519, "seal-1")
	d := newDossier(t, "一、付清。")
	keys := list(k.Publish(unit, 0))
	payload, sigs, err := parcel.Make(d.manifest, d.signatures, d.files, k.Sign)
	must(t, err)
	var pretty bytes.Buffer
	must(t, json.Indent(&pretty, sigs, "", " "))
	for name, s := range map[string][]byte{
		"key in capitals": bytes.Replace(sigs, []byte(`"seal"`), []byte(`"Seal"`), 1),
		"key twice":       bytes.Replace(sigs, []byte(`{"signatures"`), []byte(`{"seal":{},"signatures"`), 1),
		"spaces":          pretty.Bytes(),
		"more":            append(slices.Clone(sigs), []byte("{}")...),
	} {
		b, err := parcel.Write(payload, s, d.files)
		must(t, err)
		if proof.Check(tarFile(b), keys, "").OK {
			t.Errorf("%s: OK", name)
		}
	}
}
