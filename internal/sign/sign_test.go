package sign_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heyi/internal/fault"
	"heyi/internal/sign"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDigests(t *testing.T) {
	t.Parallel()
	// GB/T 32905-2016 appendix A and FIPS 180-4.
	if got := sign.SM3([]byte("abc")); got != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Errorf("SM3(abc) = %s", got)
	}
	if got := sign.SM3([]byte(strings.Repeat("abcd", 16))); got != "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732" {
		t.Errorf("SM3(64 bytes) = %s", got)
	}
	if got := sign.SHA256([]byte("abc")); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("SHA256(abc) = %s", got)
	}
}

func TestKeysOfTheStandards(t *testing.T) {
	t.Parallel()
	// RFC 8032 §7.1 test 3.
	k, err := sign.FromSecret(sign.Ed25519, "k", unhex(t, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(k.Public); got != "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025" {
		t.Errorf("Ed25519 public key %s", got)
	}
	s, err := k.Sign(unhex(t, "af82"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := sign.Bytes(s.Sig); hex.EncodeToString(got) != "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" {
		t.Errorf("Ed25519 signature %x", got)
	}
	// GB/T 32918.5-2017 appendix A: key and signature over "message digest" by user 1234567812345678.
	k, err = sign.FromSecret(sign.SM2, "k", unhex(t, "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(k.Public); got != "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13" {
		t.Errorf("SM2 public key %s", got)
	}
	sig := unhex(t, "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa")
	if err := sign.Verify(sign.SM2, k.Public, []byte("message digest"), sig); err != nil {
		t.Errorf("SM2 signature of the standard: %v", err)
	}
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			k, err := sign.New(alg, "seal-1")
			if err != nil {
				t.Fatal(err)
			}
			again, err := sign.FromSecret(alg, "seal-1", k.Private)
			if err != nil || string(again.Public) != string(k.Public) {
				t.Fatalf("stored secret gives another key: %v", err)
			}
			msg := []byte("heyi.seal.v1\x00{}")
			s, err := k.Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(msg); err != nil {
				t.Fatalf("own signature: %v", err)
			}
			other, err := sign.New(alg, "seal-2")
			if err != nil {
				t.Fatal(err)
			}
			foreign := s
			foreign.Pub = sign.Text(other.Public)
			if err := foreign.Verify(msg); err == nil {
				t.Error("another key: accepted")
			}
			for i := range msg {
				changed := append([]byte{}, msg...)
				changed[i] ^= 1
				if err := s.Verify(changed); err == nil {
					t.Errorf("byte %d of the message changed: accepted", i)
				}
			}
			for i := range s.Sig {
				changed := s
				c := byte('A')
				if s.Sig[i] == 'A' {
					c = 'B'
				}
				changed.Sig = s.Sig[:i] + string(c) + s.Sig[i+1:]
				if err := changed.Verify(msg); err == nil {
					t.Errorf("character %d of the signature changed: accepted", i)
				}
			}
			for name, changed := range map[string]sign.Signature{
				"other algorithm":          {KID: s.KID, Alg: "rsa", Pub: s.Pub, Sig: s.Sig},
				"line break in signature":  {KID: s.KID, Alg: s.Alg, Pub: s.Pub, Sig: s.Sig[:8] + "\n" + s.Sig[8:]},
				"padding in the signature": {KID: s.KID, Alg: s.Alg, Pub: s.Pub, Sig: s.Sig + "="},
				"short key":                {KID: s.KID, Alg: s.Alg, Pub: s.Pub[:20], Sig: s.Sig},
				"empty":                    {Alg: s.Alg},
			} {
				if err := changed.Verify(msg); fault.CodeOf(err) != "sign.bad_signature" {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	n := "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123" // order of the SM2 group
	for name, tt := range map[string]struct {
		alg    sign.Alg
		secret []byte
		code   string
	}{
		"short":               {sign.Ed25519, make([]byte, 31), "sign.key"},
		"unknown algorithm":   {"rsa", make([]byte, 32), "sign.alg"},
		"SM2 zero":            {sign.SM2, make([]byte, 32), "sign.key"},
		"SM2 order of group":  {sign.SM2, unhex(t, n), "sign.key"},
		"SM2 order minus one": {sign.SM2, unhex(t, n[:62]+"22"), "sign.key"},
	} {
		if _, err := sign.FromSecret(tt.alg, "k", tt.secret); fault.CodeOf(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyList(t *testing.T) {
	t.Parallel()
	k, err := sign.New(sign.SM2, "seal-1")
	if err != nil {
		t.Fatal(err)
	}
	const minute = 60_000_000
	end := int64(200 * minute)
	p := k.Publish("敖汉旗萨力巴乡人民调解委员会", 100*minute)
	p.ToAt = &end
	b, err := json.Marshal(sign.KeyList{Keys: []sign.Published{p}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := sign.ParseKeyList(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Sign([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int64]bool{89 * minute: false, 91 * minute: true, 209 * minute: true, 211 * minute: false} {
		if _, ok := l.Find(s, at); ok != want {
			t.Errorf("Find at %d = %v", at, ok)
		}
	}
	renamed := s
	renamed.KID = "seal-2"
	if _, ok := l.Find(renamed, 150*minute); ok {
		t.Error("another kid was found")
	}
	if got := p.Fingerprint(); len(strings.Fields(got)) != 16 || got != sign.Fingerprint(k.Public) {
		t.Errorf("fingerprint %q", got)
	}
	for _, bad := range []string{"", "[]", `{"keys":[{"kid":"a","alg":"sm2","pub":"AAAA"}]}`, `{"keys":[{"kid":"a","alg":"ed25519","pub":"*"}]}`} {
		if _, err := sign.ParseKeyList([]byte(bad)); err == nil {
			t.Errorf("key list %q: accepted", bad)
		}
	}
}

// TestOpenSSLReadsOurKeys checks PEM and signature form against the program that everybody has.
func TestOpenSSLReadsOurKeys(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		k, err := sign.New(alg, "k")
		if err != nil {
			t.Fatal(err)
		}
		pem, err := k.Publish("u", 0).PEM()
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Sign([]byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := sign.Bytes(s.Sig)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, b := range map[string][]byte{"key.pem": pem, "sig": sig, "text": []byte("text"), "wrong": []byte("tezt")} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-sigfile", "sig"}
		if alg == sign.SM2 {
			args = append(args, "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")
		}
		for in, want := range map[string]bool{"text": true, "wrong": false} {
			cmd := exec.CommandContext(t.Context(), "openssl", append(args, "-in", in)...) //nolint:gosec // fixed arguments
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if (err == nil) != want {
				t.Errorf("%s, %s: openssl says %v\n%s", alg, in, err, out)
			}
		}
	}
}
