package flow

import (
	"heyi/mediation/agreement"
	"heyi/mediation/paper"
)

// The bodies of the requests about a dispute; JSON as in docs/protocol.md.
type (
	// KeyBody is a request that says nothing beyond its key.
	KeyBody struct {
		Key string `json:"key"`
	}
	// ConvertBody registers a dispute.
	ConvertBody struct {
		Key           string `json:"key"`
		MediationKind string `json:"mediation_kind"`
		Category      string `json:"category"`
		Applicant     struct {
			Name string `json:"name"`
		} `json:"applicant"`
		Facts    string   `json:"facts"`
		Requests []string `json:"requests"`
	}
	// PersonBody writes down who a party is.
	PersonBody struct {
		Key        string `json:"key"`
		Name       string `json:"name"`
		IDNo       string `json:"id_no"`
		Phone      string `json:"phone"`
		Sex        string `json:"sex"`
		Ethnic     string `json:"ethnic"`
		BirthYear  int    `json:"birth_year"`
		Address    string `json:"address"`
		Occupation string `json:"occupation"`
	}
	// InviteBody invites a person by name.
	InviteBody struct {
		Key   string `json:"key"`
		Name  string `json:"name"`
		Phone string `json:"phone"`
		Role  string `json:"role"`
		Side  string `json:"side"`
	}
	// IdentityBody notes an identity check.
	IdentityBody struct {
		Key     string   `json:"key"`
		Methods []string `json:"methods"`
		Passed  bool     `json:"passed"`
	}
	// DisclosureBody is what the mediator discloses.
	DisclosureBody struct {
		Key  string `json:"key"`
		Text string `json:"text"`
	}
	// StatementBody puts something into the record.
	StatementBody struct {
		Key  string `json:"key"`
		Kind string `json:"kind"`
		Text string `json:"text"`
	}
	// DraftBody is a whole draft; Revision is what its writer saw, from If-Match.
	DraftBody struct {
		agreement.Draft

		Revision int64 `json:"-"`
	}
	// FreezeBody freezes one revision of the draft.
	FreezeBody struct {
		Key      string `json:"key"`
		Revision int64  `json:"revision"`
	}
	// MediatorSignBody is the mediator's signature.
	MediatorSignBody struct {
		Key      string     `json:"key"`
		Digest   string     `json:"digest"`
		Password string     `json:"password"`
		TOTP     string     `json:"totp"`
		Mark     paper.Mark `json:"mark"`
	}
	// PaperBody brings the scan of an agreement that was signed by hand.
	PaperBody struct {
		Key      string
		Password string
		TOTP     string
		SignedOn string // YYYY-MM-DD, the day of the last mark
		Scan     []byte
	}
	// CloseBody ends a dispute without agreement.
	CloseBody struct {
		Key    string `json:"key"`
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}
	// GuidanceBody notes that the routes were told.
	GuidanceBody struct {
		Key string `json:"key"`
		How string `json:"how"`
	}

	// AnswerBody is a party's answer to an ask.
	AnswerBody struct {
		Key    string          `json:"key"`
		AskID  string          `json:"ask_id"`
		Yes    bool            `json:"yes"`
		Items  map[string]bool `json:"items"`
		Spoken bool            `json:"spoken"`
	}
	// PhoneCodeBody is the code that went to a party's phone.
	PhoneCodeBody struct {
		Key  string `json:"key"`
		Code string `json:"code"`
	}
	// ReadBody notes that a block was read, or marks it as unclear (On).
	ReadBody struct {
		Key    string `json:"key"`
		Digest string `json:"digest"`
		Clause int    `json:"clause"`
		On     bool   `json:"on"`
	}
	// ReadbackBody is the six-digit code that a party keyed.
	ReadbackBody struct {
		Key    string `json:"key"`
		Digest string `json:"digest"`
		Code   string `json:"code"`
	}
	// SignBody is a party's signature.
	SignBody struct {
		Key    string     `json:"key"`
		Digest string     `json:"digest"`
		Mark   paper.Mark `json:"mark"`
	}
	// RefuseBody is a party's refusal to sign.
	RefuseBody struct {
		Key    string `json:"key"`
		Reason string `json:"reason"`
	}
	// HandoverView is the link by which the person at a terminal signs on a phone.
	HandoverView struct {
		URL       string `json:"url"`
		Code      string `json:"code"`
		QRSVG     string `json:"qr_svg"`
		ExpiresAt int64  `json:"expires_at"`
	}
)
