package parcel

import (
	"encoding/json"
	"strconv"

	"heyi/internal/fault"
	"heyi/internal/sign"
	"heyi/mediation"
)

// intakePrefix begins what a sender signs, so that it is never taken for a seal or the other way round.
const intakePrefix = "heyi.intake.v1\x00"

// DeliveryID is the id of a package for ever: the digest of its payload. A new seal keeps it.
func DeliveryID(payload []byte) string { return sign.SHA256(payload) }

// CheckSeal reports whether the seal was made over the payload by the key that it names; whose key that is, a published
// list says.
//
// Errors: fault.Invalid "handoff.bad_package" (seal).
func (p Parcel) CheckSeal() error {
	if err := p.Signed.Seal.Verify(mediation.SealBytes(p.Payload)); err != nil {
		return bad("seal")
	}
	return nil
}

// Describe lists files as a manifest does.
func Describe(files []File) []mediation.ManifestFile {
	list := make([]mediation.ManifestFile, len(files))
	for i, f := range files {
		list[i] = mediation.ManifestFile{
			Name: f.Name, MediaType: f.MediaType, Paper: f.Paper, Size: int64(len(f.Body)), SHA256: sign.SHA256(f.Body), SM3: sign.SM3(f.Body),
		}
	}
	return list
}

// Sealer signs with the key of a committee.
type Sealer func(text []byte) (sign.Signature, error)

// Make seals a package: m is the manifest without its files, signatures are those of the agreement.
func Make(m mediation.Manifest, signatures []mediation.SignatureEntry, files []File, seal Sealer) (payload, sigs []byte, err error) {
	m.Format, m.Files = mediation.ManifestFormat, Describe(files)
	if payload, err = m.Canonical(); err != nil {
		return nil, nil, err
	}
	s := Signatures{Signatures: signatures}
	if s.Signatures == nil {
		s.Signatures = []mediation.SignatureEntry{}
	}
	if s.Seal, err = seal(mediation.SealBytes(payload)); err != nil {
		return nil, nil, err
	}
	sigs, err = json.Marshal(s)
	return payload, sigs, err
}

// The headers of the request that carries a package.
const (
	HeaderSender    = "Heyi-Sender"
	HeaderAt        = "Heyi-At"
	HeaderSignature = "Heyi-Signature"
)

// Path is where a package is put, below the address of the case store.
func Path(deliveryID string) string { return "/api/v1/intake/packages/" + deliveryID }

// Request is a package on its way from one installation to another.
type Request struct {
	DeliveryID string
	Method     string
	Path       string
	Sender     string // kid
	At         int64  // Unix microseconds, the sender's clock
	Signature  string // base64url
	Body       []byte
}

// NewRequest signs the request that carries a package.
func NewRequest(key sign.Key, deliveryID string, at int64, body []byte) (Request, error) {
	r := Request{DeliveryID: deliveryID, Method: "PUT", Path: Path(deliveryID), Sender: key.KID, At: at, Body: body}
	s, err := key.Sign(r.text())
	r.Signature = s.Sig
	return r, err
}

func (r Request) text() []byte {
	return []byte(intakePrefix + r.Method + "\n" + r.Path + "\n" + strconv.FormatInt(r.At, 10) + "\n" + sign.SHA256(r.Body))
}

// Verify checks the signature of a request against the sender's key.
//
// Errors: fault.Unauthenticated "handoff.bad_signature".
func (r Request) Verify(alg sign.Alg, pub []byte) error {
	sig, err := sign.Bytes(r.Signature)
	if err == nil {
		err = sign.Verify(alg, pub, r.text(), sig)
	}
	if err != nil {
		return fault.New(fault.Unauthenticated, "handoff.bad_signature")
	}
	return nil
}

// Receipt is what a case store answers: that it has the package, under which number of its own.
type Receipt struct {
	No         string `json:"receipt_no"`
	Digest     string `json:"digest"` // of the payload that it stored
	DeliveryID string `json:"delivery_id"`
}
