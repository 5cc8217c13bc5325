package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"heyi/cmd/heyi/app"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
)

const sealedBy = "敖汉旗萨力巴乡人民调解委员会"

// sealedPackage writes a small dossier and the published key list into a new folder.
func sealedPackage(t *testing.T, alg sign.Alg) (dir string) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	blocks := []paper.Block{
		{N: 1, T: paper.TitleBlock, Lines: []string{"人民调解协议书"}},
		{N: 2, T: paper.ClauseBlock, Lines: []string{`一、被申请人乙向申请人甲支付租金人民币18,600.00元（大写：壹万捌仟陆佰元整）。`, `写着"已收"的收条 & <附件> 有效。`}},
	}
	pdf := []byte("%PDF-1.7")
	d, err := paper.DigestOf(blocks, pdf, 1)
	ok(err)
	mark := paper.Mark{W: 100, H: 50, Strokes: [][]int{{1, 1, 0, 90, 40, 5, 1, 40, 9, 90, 1, 12}}}
	sum, err := mark.SHA256()
	ok(err)
	r := paper.NewRecord(blocks, d)
	r.Mode, r.Marks = "electronic", []paper.Mark{mark, mark}
	for _, role := range []string{"party", "mediator"} {
		r.Signatures = append(r.Signatures, mediation.SignatureEntry{Role: role, Name: "申请人甲", Digest: r.Digest, Method: "mark", MarkSHA256: sum})
	}
	data, err := r.Bytes()
	ok(err)
	k, err := sign.New(alg, "seal-1")
	ok(err)
	files := []parcel.File{
		{Name: "08-人民调解协议书.pdf", MediaType: "application/pdf", Paper: 8, Body: pdf},
		{Name: paper.RecordFile, MediaType: "application/json", Paper: 8, Body: data},
	}
	payload, sigs, err := parcel.Make(mediation.Manifest{Subject: "d", Kind: parcel.Dossier, Version: 1, Unit: "150430206000", UnitName: sealedBy}, r.Signatures, files, k.Sign)
	ok(err)
	tar, err := parcel.Write(payload, sigs, files)
	ok(err)
	keys, err := json.Marshal(sign.KeyList{Keys: []sign.Published{k.Publish("150430206000", 0)}})
	ok(err)
	dir = t.TempDir()
	ok(os.WriteFile(filepath.Join(dir, "package.tar"), tar, 0o600))
	ok(os.WriteFile(filepath.Join(dir, "keys.json"), keys, 0o600))
	return dir
}

func change(t *testing.T, path string, from, to string) {
	t.Helper()
	b, err := os.ReadFile(path) //nolint:gosec // in a folder of the test
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(from)) || len(from) != len(to) {
		t.Fatalf("%s does not hold %q, or %q is longer", path, from, to)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600); err != nil { //nolint:gosec // in a folder of the test
		t.Fatal(err)
	}
}

func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before func(t *testing.T, dir string)
		args   func(dir string) []string
		says   string
		passes bool
	}{
		"with keys":    {nil, func(d string) []string { return []string{d + "/package.tar", "-keys", d + "/keys.json"} }, "都对得上，签发单位已核对", true},
		"flags first":  {nil, func(d string) []string { return []string{"--keys=" + d + "/keys.json", d + "/package.tar"} }, "签发单位：" + sealedBy, true},
		"without keys": {nil, func(d string) []string { return []string{d + "/package.tar"} }, "未核对签发单位", false},
		"another QR code": {nil, func(d string) []string {
			return []string{d + "/package.tar", "-keys", d + "/keys.json", "-digest", "00"}
		}, "不是二维码上说的那一份", false},
		"one paper alone":      {nil, func(d string) []string { return []string{d + "/keys.json"} }, "单独一份文件查不出真假", false},
		"an amount is changed": {func(t *testing.T, d string) { t.Helper(); change(t, d+"/package.tar", "18,600", "18,601") }, func(d string) []string { return []string{d + "/package.tar", "-keys", d + "/keys.json"} }, "✗ " + paper.RecordFile + "：这份文件被改动过", false},
		"the PDF is changed":   {func(t *testing.T, d string) { t.Helper(); change(t, d+"/package.tar", "%PDF-1.7", "%PDF-1.6") }, func(d string) []string { return []string{d + "/package.tar", "-keys", d + "/keys.json"} }, "✗ 08-人民调解协议书.pdf：这份文件被改动过", false},
		"another issuer":       {func(t *testing.T, d string) { t.Helper(); change(t, d+"/keys.json", "seal-1", "seal-2") }, func(d string) []string { return []string{d + "/package.tar", "-keys", d + "/keys.json"} }, "不认识盖章的单位", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sealedPackage(t, sign.SM2)
			if tt.before != nil {
				tt.before(t, dir)
			}
			var out bytes.Buffer
			err := app.Verify(tt.args(dir), &out)
			if !strings.Contains(out.String(), tt.says) || (err == nil) != tt.passes || (err != nil && !errors.Is(err, app.ErrNotVerified)) {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
	for name, args := range map[string][]string{"nothing": nil, "no such file": {"/nowhere.tar"}, "no such list": {"/dev/null", "-keys", "/nowhere.json"}, "a list that is none": {"/dev/null", "-keys", "/dev/null"}, "no such flag": {"-x"}} {
		if err := app.Verify(args, new(bytes.Buffer)); err == nil || errors.Is(err, app.ErrNotVerified) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fences returns the shell blocks of docs/verify.md in their order; those that are marked for another kind of seal are
// left out.
func fences(t *testing.T, alg sign.Alg) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```sh *([a-z0-9]*)\n(.*?)^```").FindAllStringSubmatch(string(b), -1) {
		if kind := m[1]; kind == "" || kind == string(alg) || kind == "agreement" {
			out = append(out, m[2])
		}
	}
	if len(out) != 5 {
		t.Fatalf("%d shell blocks for %s", len(out), alg)
	}
	return strings.Join(out, "\n")
}

// TestOpenSSLAloneChecksASeal runs the commands of docs/verify.md, and again on packages that were tampered with.
func TestOpenSSLAloneChecksASeal(t *testing.T) {
	t.Parallel()
	for _, alg := range []sign.Alg{sign.Ed25519, sign.SM2} {
		script := fences(t, alg)
		for name, tt := range map[string]struct {
			file, from, to string
			passes         bool
		}{
			"untouched":    {passes: true},
			"another unit": {"package.tar", "150430206000", "150430207000", false},
			"an amount":    {"package.tar", "18,600", "18,601", false},
			"the PDF":      {"package.tar", "%PDF-1.7", "%PDF-1.6", false},
			"another key":  {"keys.json", `"pub":"`, `"bup":"`, false},
		} {
			dir := sealedPackage(t, alg)
			if tt.file != "" {
				change(t, filepath.Join(dir, tt.file), tt.from, tt.to)
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script) //nolint:gosec // the lines of docs/verify.md
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.passes || tt.passes && !strings.Contains(string(out), "Signature Verified Successfully") {
				t.Errorf("%s, %s: %v\n%s", alg, name, err, out)
			}
		}
	}
}
