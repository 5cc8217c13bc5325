package parcel

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"heyi/internal/fault"
	"heyi/internal/sign"
	"heyi/mediation"
)

// The names of the two members that come before the files.
const (
	manifestName   = "manifest.json"
	signaturesName = "signatures.json"
)

// MaxSize bounds a package in bytes: evidence of 200 MiB stays with the dispute, papers and scans are far below this.
const MaxSize = 64 << 20

// maxFiles bounds the files of a package.
const maxFiles = 500

// Signatures is signatures.json: who signed the agreement, and the seal over the payload.
type Signatures struct {
	Signatures []mediation.SignatureEntry `json:"signatures"`
	Seal       sign.Signature             `json:"seal"`
}

// Parcel is a package that was read. Its files are as the manifest says.
type Parcel struct {
	Payload    []byte
	Signatures []byte // as received
	Manifest   mediation.Manifest
	Signed     Signatures
	Files      []File
}

// bad is a package that is not what it claims to be; part names what is wrong with it.
func bad(part string) error { return fault.InField("handoff.bad_package", part) }

// Write returns the tar of a package. The same parts give the same bytes: no times, owners or modes of anybody.
func Write(payload, signatures []byte, files []File) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(name string, body []byte) error {
		// The GNU form keeps a name as its UTF-8 bytes in the one header block; a PAX record would need a second one.
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: time.Unix(0, 0), Format: tar.FormatGNU}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(body)
		return err
	}
	err := errors.Join(put(manifestName, payload), put(signaturesName, signatures))
	for _, f := range files {
		err = errors.Join(err, put(f.Name, f.Body))
	}
	err = errors.Join(err, w.Close()) // before the bytes are taken: it writes the padding of the last file and the end
	return b.Bytes(), err
}

// Read takes a package apart and checks that it is whole: manifest first, every file of the manifest once and in its
// order with its size and both digests, nothing else, the one form that Write gives. It does not check the seal
// (CheckSeal) and knows nobody.
//
// Errors: fault.Invalid "handoff.bad_package"; the Field says tar, manifest, signatures, size or the file's name.
func Read(b []byte) (Parcel, error) {
	var p Parcel
	if len(b) > MaxSize {
		return p, bad("size")
	}
	members, err := untar(b)
	if err != nil {
		return p, err
	}
	if len(members) < 2 || members[0].Name != manifestName || members[1].Name != signaturesName {
		return p, bad("tar")
	}
	p.Payload, p.Signatures, p.Files = members[0].Body, members[1].Body, members[2:]
	if p.Manifest, err = mediation.ParseManifest(p.Payload); err != nil {
		return p, bad("manifest")
	}
	if p.Signed, err = ParseSignatures(p.Signatures); err != nil {
		return p, err
	}
	if len(p.Files) != len(p.Manifest.Files) {
		return p, bad("files")
	}
	for i := range p.Files {
		f, m := &p.Files[i], p.Manifest.Files[i]
		if f.Name != m.Name || int64(len(f.Body)) != m.Size || sign.SHA256(f.Body) != m.SHA256 || sign.SM3(f.Body) != m.SM3 {
			return p, bad(m.Name)
		}
		f.MediaType, f.Paper = m.MediaType, m.Paper
	}
	again, err := Write(p.Payload, p.Signatures, p.Files)
	if err != nil || !bytes.Equal(again, b) {
		return p, bad("tar")
	}
	return p, nil
}

func untar(b []byte) ([]File, error) {
	var list []File
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil || h.Typeflag != tar.TypeReg || len(list) > maxFiles || h.Size > int64(len(b)) {
			return nil, bad("tar")
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return nil, bad("tar")
		}
		list = append(list, File{Name: h.Name, Body: body})
	}
}

// ParseSignatures reads signatures.json.
//
// Errors: fault.Invalid "handoff.bad_package" (signatures).
func ParseSignatures(b []byte) (Signatures, error) {
	var s Signatures
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, bad("signatures")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return s, bad("signatures")
	}
	return s, nil
}
