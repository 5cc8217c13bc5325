package mediation

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// ManifestFormat is the only format of this build.
const ManifestFormat = "heyi.package.v1"

// SealPrefix stands before the manifest's payload in the bytes that a committee's seal signs.
const SealPrefix = "heyi.seal.v1\x00"

// Manifest says what a package holds and whom it concerns. Its canonical JSON, fields in this order, is the payload
// that the seal signs; the delivery id is the hex SHA-256 of the payload. Instants are Unix microseconds, 0 = none;
// days are YYYY-MM-DD, "" = none.
type Manifest struct {
	Format         string          `json:"format"`
	Subject        string          `json:"subject"` // dispute id; of a consult the session id
	Kind           string          `json:"kind"`    // dossier or consult
	Version        int             `json:"version"` // from 1
	Unit           string          `json:"unit"`    // 12-digit code
	UnitName       string          `json:"unit_name"`
	Number         string          `json:"number"` // dispute number, "" for a consult
	Category       string          `json:"category"`
	MediationKind  string          `json:"mediation_kind"`
	ClosingCode    string          `json:"closing_code"` // "1" to "8", "" for a consult
	MadeAt         int64           `json:"made_at"`
	EffectiveAt    int64           `json:"effective_at"`
	ConfirmLastOn  string          `json:"confirm_last_on"`
	AmountFen      int64           `json:"amount_fen"`
	FollowupOn     string          `json:"followup_on"`
	Parties        []ManifestParty `json:"parties"`
	Rating         int             `json:"rating"` // 1 to 5, 0 = none yet
	Files          []ManifestFile  `json:"files"`
	HandOffConsent bool            `json:"hand_off_consent"` // every party agreed that another body may receive it
}

// ManifestParty is one party as the receiver needs him.
type ManifestParty struct {
	Name       string `json:"name"`
	IDHMAC     string `json:"id_hmac"`      // keyed hash of the id number, hex, "" when none was taken
	IDNoMasked string `json:"id_no_masked"` // "150430********1234"
	Side       string `json:"side"`         // A, B
	Role       string `json:"role"`         // applicant, respondent
}

// ManifestFile is one file of the package.
type ManifestFile struct {
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Paper     int    `json:"paper"` // number in the list of 13 papers, 0 = none
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"` // hex
	SM3       string `json:"sm3"`    // hex
}

// Canonical returns the payload: JSON in the order of the fields, without spaces and without escaped HTML. Lists that
// are nil become empty.
func (m Manifest) Canonical() ([]byte, error) {
	if m.Parties == nil {
		m.Parties = []ManifestParty{}
	}
	if m.Files == nil {
		m.Files = []ManifestFile{}
	}
	return canonical(m)
}

// ParseManifest reads a payload. It must be exactly what Canonical writes, so that no byte can hide.
func ParseManifest(payload []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	again, err := m.Canonical()
	if err != nil {
		return Manifest{}, err
	}
	if !bytes.Equal(again, payload) || m.Format != ManifestFormat {
		return Manifest{}, fmt.Errorf("manifest: not in the form %s", ManifestFormat)
	}
	return m, nil
}

// SealBytes are the bytes that the committee's seal signs over a payload.
func SealBytes(payload []byte) []byte { return append([]byte(SealPrefix), payload...) }

// SignatureEntry says who signed the agreement, how and when; it stands in the agreement record of a dossier and again
// in signatures.json. It is a statement of this installation, covered by the seal, and no signature of its own.
type SignatureEntry struct {
	Role          string `json:"role"`  // party, mediator, clerk
	Party         string `json:"party"` // party id, "" for staff
	Name          string `json:"name"`
	Digest        string `json:"digest"` // of the agreement that was signed
	Method        string `json:"method"` // mark, mark+password, paper
	At            int64  `json:"at"`
	MarkSHA256    string `json:"mark_sha256"`    // of the drawn lines, "" on paper
	IdentityCheck string `json:"identity_check"` // id of the check in this session, "" for staff
	Channel       string `json:"channel"`        // sign_link, party_link, capture, desk, paper
}

func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
