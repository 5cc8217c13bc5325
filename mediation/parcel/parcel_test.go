package parcel_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"heyi/internal/fault"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

func key(tb testing.TB, alg sign.Alg) sign.Key {
	tb.Helper()
	k, err := sign.New(alg, "k1")
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func sample(tb testing.TB, k sign.Key) (payload, signatures []byte, files []parcel.File) {
	tb.Helper()
	files = []parcel.File{
		{Name: "08-人民调解协议书.pdf", MediaType: "application/pdf", Paper: 8, Body: []byte("%PDF-1.7 …")},
		{Name: "events.json", MediaType: "application/json", Body: []byte("[]")},
		{Name: "07-调解记录.pdf", MediaType: "application/pdf", Paper: 7, Body: nil},
	}
	payload, signatures, err := parcel.Make(mediation.Manifest{
		Subject: "d1", Kind: parcel.Dossier, Version: 1, Unit: "150430206201", Number: "(2026)赤红西人调字第000001号", ClosingCode: "1", MadeAt: 1,
	}, []mediation.SignatureEntry{{Role: "party", Name: "申请人甲", Digest: "d"}}, files, k.Sign)
	if err != nil {
		tb.Fatal(err)
	}
	return payload, signatures, files
}

func TestWriteAndRead(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		payload, signatures, files := sample(t, key(t, alg))
		b, err := parcel.Write(payload, signatures, files)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parcel.Write(payload, signatures, files); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: the same parts gave other bytes (%v)", alg, err)
		}
		p, err := parcel.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.CheckSeal(); err != nil {
			t.Error(alg, err)
		}
		if p.Manifest.Number != "(2026)赤红西人调字第000001号" || len(p.Files) != 3 || p.Files[0].Name != files[0].Name || p.Files[0].Paper != 8 ||
			string(p.Files[0].Body) != string(files[0].Body) || p.Signed.Signatures[0].Name != "申请人甲" {
			t.Errorf("%s: read %+v", alg, p)
		}
	}
}

// One changed byte anywhere is noticed: by Read, or by the seal.
func TestOneChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	payload, signatures, files := sample(t, key(t, sign.Ed25519))
	b, err := parcel.Write(payload, signatures, files)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := parcel.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(b)-1).Draw(rt, "byte")
		c := bytes.Clone(b)
		c[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "change"))
		p, err := parcel.Read(c)
		if err == nil {
			err = p.CheckSeal()
		}
		if err == nil && bytes.Equal(p.Payload, whole.Payload) && bytes.Equal(p.Signatures, whole.Signatures) {
			rt.Fatalf("byte %d changed and nobody noticed", i)
		}
		// the list of who signed is a statement beside the seal: the same names stand in the sealed agreement record
		if err == nil && !bytes.Equal(p.Payload, whole.Payload) {
			rt.Fatalf("byte %d of the payload changed and the seal holds", i)
		}
	})
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	payload, signatures, files := sample(t, key(t, sign.Ed25519))
	write := func(payload, signatures []byte, files []parcel.File) []byte {
		b, err := parcel.Write(payload, signatures, files)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	changed := append([]parcel.File(nil), files...)
	changed[0].Body = []byte("%PDF-1.7 ,,,")
	swapped := []parcel.File{files[1], files[0], files[2]}
	b := write(payload, signatures, files)
	for name, tt := range map[string]struct {
		body  []byte
		field string
	}{
		"nothing":                        {nil, "tar"},
		"no tar":                         {[]byte("hello"), "tar"},
		"half of it":                     {b[:len(b)/2], "tar"},
		"more after it":                  {append(bytes.Clone(b), make([]byte, 1024)...), "tar"},
		"a file with other bytes":        {write(payload, signatures, changed), files[0].Name},
		"files in another order":         {write(payload, signatures, swapped), files[0].Name},
		"a file too few":                 {write(payload, signatures, files[:2]), "files"},
		"a file that the manifest lacks": {write(payload, signatures, append(files[:3:3], parcel.File{Name: "x"})), "files"},
		"a manifest with spaces":         {write(append([]byte(" "), payload...), signatures, files), "manifest"},
		"an unknown word in signatures":  {write(payload, []byte(`{"signatures":[],"seal":{},"x":1}`), files), "signatures"},
	} {
		_, err := parcel.Read(tt.body)
		f, ok := err.(*fault.Error) //nolint:errorlint // its field is compared
		if !ok || f.Code != "handoff.bad_package" || f.Field != tt.field {
			t.Errorf("%s: %v, want %s", name, err, tt.field)
		}
	}
}

func TestSealOfAnotherPackage(t *testing.T) {
	t.Parallel()
	k := key(t, sign.Ed25519)
	_, signatures, files := sample(t, k)
	other, _, err := parcel.Make(mediation.Manifest{Subject: "d2", Kind: parcel.Dossier, Version: 1}, nil, files, k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	b, err := parcel.Write(other, signatures, files)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parcel.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckSeal(); fault.CodeOf(err) != "handoff.bad_package" {
		t.Errorf("the seal of d1 stood on d2: %v", err)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		k := key(t, alg)
		r, err := parcel.NewRequest(k, parcel.DeliveryID([]byte("p")), 1763800000000000, []byte("body"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(k.Alg, k.Public); err != nil {
			t.Error(alg, err)
		}
		for name, change := range map[string]func(*parcel.Request){
			"another method":    func(r *parcel.Request) { r.Method = "POST" },
			"another path":      func(r *parcel.Request) { r.Path += "0" },
			"another time":      func(r *parcel.Request) { r.At++ },
			"another body":      func(r *parcel.Request) { r.Body = []byte("bodY") },
			"no signature":      func(r *parcel.Request) { r.Signature = "" },
			"another signature": func(r *parcel.Request) { r.Signature = sign.Text([]byte("x")) },
		} {
			c := r
			change(&c)
			if err := c.Verify(k.Alg, k.Public); fault.CodeOf(err) != "handoff.bad_signature" {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}
