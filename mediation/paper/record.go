package paper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"heyi/mediation"
)

// RecordFile is the name under which the agreement's record travels in a dossier, as part of paper 8.
const RecordFile = "08-协议数据.json"

// RecordFormat is the only format of this build.
const RecordFormat = "heyi.agreement.v1"

// Record is the agreement for machines: everything from which its digest can be worked out again, and who signed it. It
// is one of the files that the seal covers, so its signatures cannot be exchanged.
type Record struct {
	Format       string                     `json:"format"`
	V            int                        `json:"v"`
	Mode         string                     `json:"mode"` // electronic, paper
	Blocks       []Block                    `json:"blocks"`
	BlocksSHA256 string                     `json:"blocks_sha256"`
	PDFSHA256    string                     `json:"pdf_sha256"`
	Digest       string                     `json:"digest"`
	DigestSM3    string                     `json:"digest_sm3"`
	Code         string                     `json:"code"`
	FrozenAt     int64                      `json:"frozen_at"`
	EffectiveAt  int64                      `json:"effective_at"`
	Signatures   []mediation.SignatureEntry `json:"signatures"`
	Marks        []Mark                     `json:"marks"` // in the order of the signatures that have one
}

// NewRecord fills in what follows from blocks and digest.
func NewRecord(blocks []Block, d Digest) Record {
	return Record{
		Format: RecordFormat, V: d.V, Blocks: blocks, BlocksSHA256: d.BlocksSHA256, PDFSHA256: d.PDFSHA256,
		Digest: d.SHA256(), DigestSM3: d.SM3(), Code: d.Code(),
	}
}

// Bytes returns the one form of a record.
func (r Record) Bytes() ([]byte, error) {
	if r.Signatures == nil {
		r.Signatures = []mediation.SignatureEntry{}
	}
	if r.Marks == nil {
		r.Marks = []Mark{}
	}
	return canonical(r)
}

// ParseRecord reads a record; anything but the one form of Bytes is refused.
func ParseRecord(b []byte) (Record, error) {
	var r Record
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("agreement record: %w", err)
	}
	again, err := r.Bytes()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(again, b) || r.Format != RecordFormat {
		return Record{}, fmt.Errorf("agreement record: not in the form %s", RecordFormat)
	}
	return r, nil
}

// Fault is what is wrong with a record, "" when nothing is.
type Fault string

// The faults of a record.
const (
	BlocksFault     Fault = "blocks"     // the clauses do not give the digest
	DigestFault     Fault = "digest"     // the digests do not belong together
	SignaturesFault Fault = "signatures" // nobody signed, or somebody signed another digest
	MarkFault       Fault = "mark"       // a drawn line was exchanged
)

// Check works every digest of the record out again.
func (r Record) Check() Fault {
	b, err := Canonical(r.Blocks)
	if err != nil || fmt.Sprintf("%x", sum(b)) != r.BlocksSHA256 {
		return BlocksFault
	}
	d := Digest{BlocksSHA256: r.BlocksSHA256, PDFSHA256: r.PDFSHA256, V: r.V}
	if d.SHA256() != r.Digest || d.SM3() != r.DigestSM3 || d.Code() != r.Code {
		return DigestFault
	}
	marks := r.Marks
	for _, s := range r.Signatures {
		if s.Digest != r.Digest {
			return SignaturesFault
		}
		if s.Method == "paper" {
			continue
		}
		if len(marks) == 0 {
			return MarkFault
		}
		if have, err := marks[0].SHA256(); err != nil || have != s.MarkSHA256 {
			return MarkFault
		}
		marks = marks[1:]
	}
	if len(marks) > 0 {
		return MarkFault
	}
	want := []string{"party", "mediator"}
	if r.Mode == "paper" {
		want = []string{"clerk"}
	}
	for _, role := range want {
		if !slices.ContainsFunc(r.Signatures, func(s mediation.SignatureEntry) bool { return s.Role == role }) {
			return SignaturesFault
		}
	}
	return ""
}
