// Package paper holds what stands on a paper: the blocks of an agreement with their digests and code, the marks that
// people draw, and Paper, the model from which every PDF of the product is rendered.
//
// The bytes of Canonical and of the digest record are a contract with the screens (kiosk-ui/src/agreement) and with
// everybody who checks a package later; mediation/agreement/testdata/vectors.json pins them for both languages.
//
// Concurrency: everything is a value or pure.
//
// Errors: fault.Invalid "paper.text" (a character that no paper carries), "paper.blocks", "paper.mark".
package paper

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"heyi/internal/fault"
	"heyi/internal/sign"
)

// BlockType says what a block of an agreement is.
type BlockType string

// The block types, in the order in which they stand in the Ministry's form.
const (
	TitleBlock  BlockType = "title"
	NumberBlock BlockType = "number"
	PartyBlock  BlockType = "party"
	FactsBlock  BlockType = "facts"
	ClauseBlock BlockType = "clause"
	CloseBlock  BlockType = "close"
)

// Block is a piece of an agreement that is read as one: a heading, a party, a clause.
type Block struct {
	N     int       `json:"n"` // from 1
	T     BlockType `json:"t"`
	Lines []string  `json:"lines"`
}

// Canonical returns the one form of blocks that is digested: a JSON array without spaces, keys n, t, lines, no escapes
// but \" and \\. Numbers run from 1; lines are not empty, in Unicode form NFC and free of what Text refuses.
//
// Errors: fault.Invalid "paper.blocks" or "paper.text" with "n/line" in Field.
func Canonical(blocks []Block) ([]byte, error) {
	if len(blocks) == 0 {
		return nil, fault.InField("paper.blocks", "0")
	}
	for i, b := range blocks {
		if b.N != i+1 || !slices.Contains([]BlockType{TitleBlock, NumberBlock, PartyBlock, FactsBlock, ClauseBlock, CloseBlock}, b.T) || len(b.Lines) == 0 {
			return nil, fault.InField("paper.blocks", fmt.Sprint(i+1))
		}
		for j, line := range b.Lines {
			if line == "" || Text(line) != nil {
				return nil, fault.InField("paper.text", fmt.Sprintf("%d/%d", i+1, j+1))
			}
		}
	}
	return canonical(blocks)
}

// Text refuses what no paper carries: invalid UTF-8, control characters and line breaks, the separators U+2028 and
// U+2029, invisible format characters and private use, spaces but U+0020 and U+3000, the radicals that look like
// characters (U+2E80 to U+2FDF), characters above U+FFFF (the PDF library writes a wrong text map for them), and text
// that is not in form NFC. fault.Invalid "paper.text".
func Text(s string) error {
	if !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
		return fault.InField("paper.text", "form")
	}
	for _, r := range s {
		switch {
		case r == ' ' || r == '\u3000':
		case r > 0xFFFF || r == 0xFFFD || (r >= 0x2E80 && r <= 0x2FDF) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Z):
			return fault.InField("paper.text", fmt.Sprintf("U+%04X", r))
		}
	}
	return nil
}

// Clean brings typed text into the form that Text accepts, as far as that loses nothing: form NFC, tabs and other
// spaces as spaces, one dot, dash and ellipsis for those that look alike, pasted radicals as the characters that were
// meant, no invisible marks, no spaces at the ends. Line breaks stay; split them with Lines.
func Clean(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\u3000':
			return r
		case unicode.IsSpace(r):
			return ' '
		case r == '•' || r == '‧' || r == '・':
			return '·'
		case r == '\u2011':
			return '-'
		case r == '\u2012':
			return '\u2013'
		case r == '⋯':
			return '…'
		case r >= 0x200B && r <= 0x200F || r == 0x2060 || r == 0xFEFF: // zero width, direction
			return -1
		case r >= 0x2F00 && r <= 0x2FDF: // Kangxi radicals, as copied from PDFs
			for _, meant := range norm.NFKC.String(string(r)) {
				return meant
			}
		}
		return r
	}, norm.NFC.String(s))
	return strings.TrimSpace(s)
}

// Lines splits cleaned text at line breaks and drops empty lines.
func Lines(s string) []string {
	var out []string
	for line := range strings.SplitSeq(Clean(s), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// Digest is what a signature binds.
type Digest struct {
	BlocksSHA256 string `json:"blocks_sha256"` // hex, of Canonical
	PDFSHA256    string `json:"pdf_sha256"`    // hex, of the frozen PDF
	V            int    `json:"v"`             // version of the agreement, from 1
}

// Record returns the canonical record, {"blocks_sha256":"..","pdf_sha256":"..","v":1}.
func (d Digest) Record() []byte {
	return fmt.Appendf(nil, `{"blocks_sha256":"%s","pdf_sha256":"%s","v":%d}`, d.BlocksSHA256, d.PDFSHA256, d.V)
}

// SHA256 returns the digest of the record, hex: the digest of the agreement.
func (d Digest) SHA256() string { return sign.SHA256(d.Record()) }

// SM3 returns the SM3 digest of the record, hex.
func (d Digest) SM3() string { return sign.SM3(d.Record()) }

// Code returns the six digits that a party keys after reading: the first 8 bytes of the digest as a big-endian number,
// modulo 10^6, with leading zeros.
func (d Digest) Code() string {
	sum := sha256.Sum256(d.Record())
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

// DigestOf returns the digest of blocks, the PDF rendered from them and the version.
func DigestOf(blocks []Block, pdf []byte, v int) (Digest, error) {
	b, err := Canonical(blocks)
	if err != nil {
		return Digest{}, err
	}
	return Digest{BlocksSHA256: hex.EncodeToString(sum(b)), PDFSHA256: hex.EncodeToString(sum(pdf)), V: v}, nil
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

// canonical is JSON in the order of the fields, without spaces and without escaped HTML.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("paper: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
