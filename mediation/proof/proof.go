// Package proof checks a package, or papers taken out of one, and says in words that a clerk understands what holds and
// what does not: every digest, the seal, whose seal it is, the agreement from its clauses up, the chain of events.
//
// It needs nothing but the bytes and a list of published keys: `heyi verify` runs it offline, POST /api/v1/verify and
// the case store run the same. docs/verify.md does the same by hand with OpenSSL.
//
// Concurrency: everything is pure.
package proof

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"heyi/internal/audit"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
)

// File is what somebody brings: a package (.tar), or single files of one.
type File struct {
	Name string
	Body []byte
}

// Finding is what the check says about one file or one property.
type Finding struct {
	File string `json:"file"`
	OK   bool   `json:"ok"`
	Code string `json:"code"`
	Text string `json:"text"`
}

// Result is the whole answer. OK means that everything holds and that the issuer is known.
type Result struct {
	OK       bool      `json:"ok"`
	Findings []Finding `json:"findings"`
}

// The codes of findings.
const (
	CodeFile       = "file"        // a file against the manifest
	CodeMissing    = "missing"     // the manifest names it, it is not there
	CodeExtra      = "extra"       // it is there, the manifest does not name it
	CodeManifest   = "manifest"    // the manifest itself
	CodeForm       = "form"        // the bytes around the files
	CodeSeal       = "seal"        // seal over the manifest
	CodeIssuer     = "issuer"      // whose key it is
	CodeUnchecked  = "unchecked"   // no list of keys was given
	CodeAgreement  = "agreement"   // clauses, PDF, digest, code
	CodeSignatures = "signatures"  // who signed
	CodeEvents     = "events"      // the chain of events
	CodeDigest     = "digest"      // the digest of the QR code
	CodeNoManifest = "no_manifest" // nothing to compare with
)

// The names of the two members of a package that are no files of the dossier.
const (
	manifestName   = "manifest.json"
	signaturesName = "signatures.json"
	eventsName     = "events.json"
)

// Check judges what was brought. keys is the published list, nil when there is none to compare with: then the issuer
// stays unchecked and the result is not OK. digest is the agreement's as the QR code on a paper says it, "" for none.
func Check(files []File, keys *sign.KeyList, digest string) Result {
	c := &check{keys: keys, digest: digest, res: Result{OK: true, Findings: []Finding{}}}
	loose := map[string][]byte{}
	var order []string
	packages := 0
	for _, f := range files {
		if isTar(f.Body) {
			packages++
			c.tar(f)
			continue
		}
		name := path.Base(strings.ReplaceAll(f.Name, `\`, "/"))
		if _, twice := loose[name]; twice {
			c.add(name, false, CodeExtra, "同一个名字给了两份，分不清哪一份是真的")
			continue
		}
		loose[name] = f.Body
		order = append(order, name)
	}
	if len(order) > 0 {
		c.loose(order, loose)
	}
	if packages == 0 && len(order) == 0 {
		c.add("", false, CodeNoManifest, "没有给文件")
	}
	return c.res
}

type check struct {
	keys   *sign.KeyList
	digest string
	res    Result
}

func (c *check) add(file string, ok bool, code, text string) {
	c.res.OK = c.res.OK && ok
	c.res.Findings = append(c.res.Findings, Finding{File: file, OK: ok, Code: code, Text: text})
}

func isTar(b []byte) bool { return len(b) > 262 && string(b[257:262]) == "ustar" }

// tar reads a package without trusting it, so that the file at fault can be named, and asks the strict reader last.
func (c *check) tar(f File) {
	members := map[string][]byte{}
	var order []string
	r := tar.NewReader(bytes.NewReader(f.Body))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || h.Typeflag != tar.TypeReg || h.Size > int64(len(f.Body)) { // a sparse file could grow without end
			c.add(f.Name, false, CodeForm, "移交包坏了，读到一半读不下去")
			break
		}
		body, err := io.ReadAll(r)
		if err != nil {
			c.add(f.Name, false, CodeForm, "移交包坏了，读到一半读不下去")
			break
		}
		if _, twice := members[h.Name]; twice {
			c.add(h.Name, false, CodeExtra, "包里有两份同名的文件")
			continue
		}
		members[h.Name] = body
		order = append(order, h.Name)
	}
	from := len(c.res.Findings)
	c.contents(order, members)
	if _, err := parcel.Read(f.Body); err != nil && !c.broken(from) {
		c.add(f.Name, false, CodeForm, "移交包的外形被改过，里面的文件虽然对得上，也不要用这一份")
	}
}

// broken reports whether anything but the issuer was found wrong since a finding.
func (c *check) broken(from int) bool {
	for _, f := range c.res.Findings[from:] {
		if !f.OK && f.Code != CodeUnchecked && f.Code != CodeIssuer {
			return true
		}
	}
	return false
}

func (c *check) loose(order []string, files map[string][]byte) {
	if _, ok := files[manifestName]; !ok {
		for _, name := range order {
			c.add(name, false, CodeNoManifest, "单独一份文件查不出真假：请把整个移交包（.tar），或者同一卷的 manifest.json 和 signatures.json 一起给")
		}
		return
	}
	c.contents(order, files)
}

// contents judges manifest, files, seal, issuer and what the files say about each other.
func (c *check) contents(order []string, files map[string][]byte) {
	payload, ok := files[manifestName]
	if !ok {
		c.add(manifestName, false, CodeManifest, "没有清单 manifest.json，不是和议的移交包")
		return
	}
	m, err := mediation.ParseManifest(payload)
	if err != nil {
		c.add(manifestName, false, CodeManifest, "清单被改过，或者不是和议的移交清单")
		return
	}
	c.add(manifestName, true, CodeManifest, manifestWords(m))
	listed := map[string]bool{manifestName: true, signaturesName: true}
	for _, f := range m.Files {
		listed[f.Name] = true
		body, here := files[f.Name]
		switch {
		case !here:
			c.add(f.Name, false, CodeMissing, "清单里有这份文件，这里没有")
		case int64(len(body)) != f.Size || sign.SHA256(body) != f.SHA256 || sign.SM3(body) != f.SM3:
			c.add(f.Name, false, CodeFile, "这份文件被改动过，和清单对不上")
		default:
			c.add(f.Name, true, CodeFile, "和清单一致，一个字节都没有改")
		}
	}
	for _, name := range order {
		if !listed[name] {
			c.add(name, false, CodeExtra, "清单里没有这份文件，不能当作这一卷里的东西")
		}
	}
	c.seal(payload, m, files)
	c.agreement(m, files)
	c.events(files)
}

func manifestWords(m mediation.Manifest) string {
	what := map[string]string{parcel.Dossier: "调解卷宗", parcel.Consult: "咨询记录"}[m.Kind]
	if m.Number != "" {
		what += " " + m.Number
	}
	return fmt.Sprintf("%s，第%d版，%s，共%d份文件", what, m.Version, m.UnitName, len(m.Files))
}

func (c *check) seal(payload []byte, m mediation.Manifest, files map[string][]byte) {
	raw, ok := files[signaturesName]
	if !ok {
		c.add(signaturesName, false, CodeSeal, "没有 signatures.json，看不到印章")
		return
	}
	s, err := signatures(raw)
	if err != nil {
		c.add(signaturesName, false, CodeSeal, "签名和印章的文件被改过")
		return
	}
	if err := s.Seal.Verify(mediation.SealBytes(payload)); err != nil {
		c.add(signaturesName, false, CodeSeal, "印章对不上：清单被改过，或者这个章不是盖在这份清单上的")
		return
	}
	c.add(signaturesName, true, CodeSeal, "印章有效，清单没有改过（"+string(s.Seal.Alg)+"）")
	c.issuer(s.Seal, m)
	if len(s.Signatures) > 0 {
		if _, ok := files[paper.RecordFile]; !ok {
			c.add(signaturesName, false, CodeSignatures, "缺少"+paper.RecordFile+"，看不出签的是哪些条款")
		}
	}
}

// signatures reads signatures.json in the one form that parcel.Make gives it.
func signatures(raw []byte) (parcel.Signatures, error) {
	var s parcel.Signatures
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("proof: %w", err)
	}
	again, err := json.Marshal(s)
	if err != nil || !bytes.Equal(again, raw) {
		return s, errors.New("proof: not in the one form")
	}
	return s, nil
}

func (c *check) issuer(seal sign.Signature, m mediation.Manifest) {
	fingerprint := "（读不出）"
	if pub, err := sign.Bytes(seal.Pub); err == nil {
		fingerprint = sign.Fingerprint(pub)
	}
	if c.keys == nil {
		c.add(signaturesName, false, CodeUnchecked, "未核对签发单位：没有公布的密钥名单可以比对。印章公钥的指纹是 "+fingerprint)
		return
	}
	k, ok := c.keys.Find(seal, m.MadeAt)
	switch {
	case !ok:
		c.add(signaturesName, false, CodeIssuer, "不认识盖章的单位：这把密钥不在公布的名单里，或者当时没有在用。指纹 "+fingerprint)
	case k.Unit != m.UnitName && k.Unit != m.Unit:
		c.add(signaturesName, false, CodeIssuer, "盖章的密钥是"+k.Unit+"的，清单上写的却是"+m.UnitName)
	default:
		c.add(signaturesName, true, CodeIssuer, "签发单位："+m.UnitName+"。指纹 "+fingerprint)
	}
}

// agreement works the agreement out again from its clauses: blocks, PDF, digest, code, who signed which digest.
func (c *check) agreement(m mediation.Manifest, files map[string][]byte) {
	raw, ok := files[paper.RecordFile]
	if !ok {
		if c.digest != "" && m.Kind == parcel.Dossier {
			c.add("", false, CodeDigest, "这里没有协议，和二维码对不上")
		}
		return
	}
	r, err := paper.ParseRecord(raw)
	if err != nil {
		c.add(paper.RecordFile, false, CodeAgreement, "协议数据读不懂")
		return
	}
	switch r.Check() {
	case paper.BlocksFault:
		c.add(paper.RecordFile, false, CodeAgreement, "条款和定稿时的不一样")
		return
	case paper.DigestFault:
		c.add(paper.RecordFile, false, CodeAgreement, "条款、PDF 和摘要对不到一起")
		return
	case paper.SignaturesFault:
		c.add(paper.RecordFile, false, CodeSignatures, "签名不全，或者有人签的不是这一份")
		return
	case paper.MarkFault:
		c.add(paper.RecordFile, false, CodeSignatures, "手写的签名被换过")
		return
	}
	if !c.frozen(m, r, files) {
		return
	}
	c.add(paper.RecordFile, true, CodeAgreement, fmt.Sprintf("条款、定稿 PDF 和摘要对得上，第%d版，核对码 %s %s", r.V, r.Code[:3], r.Code[3:]))
	if s, err := signatures(files[signaturesName]); err == nil && !same(s.Signatures, r.Signatures) {
		c.add(signaturesName, false, CodeSignatures, "signatures.json 里的签名和盖过章的协议数据不一样")
		return
	}
	c.add(paper.RecordFile, true, CodeSignatures, signedWords(r))
	if c.digest != "" {
		if c.digest == r.Digest {
			c.add("", true, CodeDigest, "就是二维码上说的那一份")
		} else {
			c.add("", false, CodeDigest, "不是二维码上说的那一份协议")
		}
	}
}

// frozen wants the very PDF that the digest names among the files of the package.
func (c *check) frozen(m mediation.Manifest, r paper.Record, files map[string][]byte) bool {
	for _, f := range m.Files {
		if f.SHA256 == r.PDFSHA256 && f.Paper == 8 {
			if _, here := files[f.Name]; here {
				return true
			}
		}
	}
	c.add(paper.RecordFile, false, CodeAgreement, "没有看到定稿的 PDF，条款和它的关系没法核对")
	return false
}

func same(a, b []mediation.SignatureEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func signedWords(r paper.Record) string {
	var list []string
	for _, s := range r.Signatures {
		role := map[string]string{"mediator": "（人民调解员）", "clerk": "（确认纸质签名的工作人员）"}[s.Role]
		list = append(list, s.Name+role+time.UnixMicro(s.At).UTC().Format(" 2006-01-02 15:04:05Z"))
	}
	return "都是对这一份签的：" + strings.Join(list, "，")
}

func (c *check) events(files map[string][]byte) {
	raw, ok := files[eventsName]
	if !ok {
		return
	}
	list, err := audit.Import(raw)
	if err != nil {
		c.add(eventsName, false, CodeEvents, "事件记录读不懂")
		return
	}
	if e := audit.VerifyAll(list); e != nil {
		c.add(eventsName, false, CodeEvents, fmt.Sprintf("事件链从第%d条（%s）断开，这一条或者前一条被改过", e.Seq, e.Type))
		return
	}
	c.add(eventsName, true, CodeEvents, fmt.Sprintf("事件链完整，共%d条", len(list)))
}
