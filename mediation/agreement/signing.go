package agreement

import (
	"slices"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/paper"
)

// State is the state of one version of an agreement (domain.md 7.5).
type State string

// The states.
const (
	Drafting       State = "draft"
	Frozen         State = "frozen"          // text and digest stand; parties read and key the code
	Signing        State = "signing"         // at least one party signed
	MediatorSigned State = "mediator_signed" // the seal is missing
	Effective      State = "effective"
	Withdrawn      State = "withdrawn" // a party refused to sign
	Replaced       State = "replaced"  // by version v+1; its signatures are void
)

// MaxTries is how often a party may key a wrong code before the mediator is called.
const MaxTries = 3

// Agreement is one version. Instants are Unix microseconds, 0 = not yet. The JSON form is how the store keeps it.
type Agreement struct {
	ID       ident.AgreementID `json:"id"`
	V        int               `json:"v"`        // from 1
	Revision int               `json:"revision"` // of the draft, from 1
	State    State             `json:"state"`
	Mode     Mode              `json:"mode"` // of a draft: as it would be now
	Draft    Draft             `json:"draft"`

	Signers  []string     `json:"signers"` // party ids that must sign, set at freeze
	Blocks   []Block      `json:"blocks"`
	Digest   paper.Digest `json:"digest"`
	FrozenAt int64        `json:"frozen_at"`

	Readings   []Reading    `json:"readings"`
	Signatures []Signature  `json:"signatures"`
	Mediator   *Signature   `json:"mediator"`
	Attest     *Attestation `json:"attest"`

	SealKID     string `json:"seal_kid"`
	SealedAt    int64  `json:"sealed_at"`
	EffectiveAt int64  `json:"effective_at"`
}

// Reading is how far a party came with the text.
type Reading struct {
	Party   string `json:"party"`
	Read    []int  `json:"read"`    // numbers of the blocks
	Unclear []int  `json:"unclear"` // blocks that he does not understand
	Tries   int    `json:"tries"`   // wrong codes in a row
	Called  bool   `json:"called"`  // three wrong: the mediator was called
	OKAt    int64  `json:"ok_at"`   // the right code was keyed
}

// Signature is who signed which digest, how and when.
type Signature struct {
	Party         string     `json:"party"` // party id; of the mediator his staff id
	Digest        string     `json:"digest"`
	Mark          paper.Mark `json:"mark"`
	MarkSHA256    string     `json:"mark_sha256"`
	Channel       string     `json:"channel"`        // sign_link, party_link, capture, desk
	IdentityCheck string     `json:"identity_check"` // how his identity was checked in this session, "" for the mediator
	At            int64      `json:"at"`
}

// Attestation says that the printed agreement was signed by hand.
type Attestation struct {
	Scan     string        `json:"scan"` // digest of the file
	SignedOn string        `json:"signed_on"`
	Clerk    ident.StaffID `json:"clerk"`
	At       int64         `json:"at"`
}

// New returns the empty draft of a version.
func New(id ident.AgreementID, v int) Agreement {
	return Agreement{
		ID: id, V: v, Revision: 1, State: Drafting, Draft: Draft{Form: Written, Clauses: []Clause{}},
		Signers: []string{}, Blocks: []Block{}, Readings: []Reading{}, Signatures: []Signature{},
	}
}

func refused(s State) error {
	return fault.New(fault.Conflict, "agreement.state").WithRef(string(s))
}

// Revise replaces the draft. revision is the one the drafter saw.
//
// Errors: fault.Stale "agreement.stale_revision"; fault.Conflict "agreement.state" once it is frozen.
func (a *Agreement) Revise(revision int, d Draft, m Meta) error {
	if a.State != Drafting {
		return refused(a.State)
	}
	if revision != a.Revision {
		return fault.New(fault.Stale, "agreement.stale_revision")
	}
	a.Draft = d.Normalise()
	a.Mode = ModeOf(m.Category, a.Draft.Clauses, m.Parties)
	a.Revision++
	return nil
}

// Prepare returns the blocks that a freeze of this revision would fix. The caller renders AgreementPaper of them and
// hands blocks and PDF to Freeze.
//
// Errors: as Revise; fault.Invalid "agreement.lint" when Check finds anything.
func (a *Agreement) Prepare(revision int, m Meta, today string) ([]Block, error) {
	if a.State != Drafting {
		return nil, refused(a.State)
	}
	if revision != a.Revision {
		return nil, fault.New(fault.Stale, "agreement.stale_revision")
	}
	if err := Refuse(Check(a.Draft, m, today)); err != nil {
		return nil, err
	}
	return Blocks(a.Draft, m)
}

// Freeze fixes text, digest and mode of signing. pdf is the rendering of AgreementPaper(blocks, ..).
func (a *Agreement) Freeze(blocks []Block, pdf []byte, m Meta, at int64) error {
	if a.State != Drafting {
		return refused(a.State)
	}
	digest, err := paper.DigestOf(blocks, pdf, a.V)
	if err != nil {
		return err //nolint:wrapcheck // names the block
	}
	a.State, a.Blocks, a.Digest, a.FrozenAt = Frozen, blocks, digest, at
	a.Mode = ModeOf(m.Category, a.Draft.Clauses, m.Parties)
	a.Signers = a.Signers[:0:0]
	for _, p := range m.Parties {
		a.Signers = append(a.Signers, p.ID)
	}
	return nil
}

// live refuses what only a frozen agreement allows, from a signer who sees the frozen text.
func (a *Agreement) live(party, digest string) error {
	switch {
	case a.State != Frozen && a.State != Signing:
		return refused(a.State)
	case !slices.Contains(a.Signers, party):
		return fault.New(fault.Forbidden, "agreement.not_a_party")
	case digest != a.Digest.SHA256():
		return fault.New(fault.Conflict, "agreement.wrong_digest")
	}
	return nil
}

// Reading returns how far a party came; the zero value when he has not begun.
func (a *Agreement) Reading(party string) Reading {
	if i := slices.IndexFunc(a.Readings, func(r Reading) bool { return r.Party == party }); i >= 0 {
		return a.Readings[i]
	}
	return Reading{Party: party, Read: []int{}, Unclear: []int{}}
}

func (a *Agreement) setReading(r Reading) {
	if i := slices.IndexFunc(a.Readings, func(have Reading) bool { return have.Party == r.Party }); i >= 0 {
		a.Readings[i] = r
		return
	}
	a.Readings = append(a.Readings, r)
}

// Read notes that a party heard or scrolled block n to its end.
func (a *Agreement) Read(party, digest string, n int) error {
	return a.noteBlock(party, digest, n, true, func(r *Reading) *[]int { return &r.Read })
}

// Unclear notes that a party does not understand block n, or does now. The mark stands beside the clause on the desk; it
// blocks nothing.
func (a *Agreement) Unclear(party, digest string, n int, on bool) error {
	return a.noteBlock(party, digest, n, on, func(r *Reading) *[]int { return &r.Unclear })
}

func (a *Agreement) noteBlock(party, digest string, n int, on bool, list func(*Reading) *[]int) error {
	if err := a.live(party, digest); err != nil {
		return err
	}
	if n < 1 || n > len(a.Blocks) {
		return fault.InField("agreement.block", "clause")
	}
	r := a.Reading(party)
	l := list(&r)
	next := slices.DeleteFunc(slices.Clone(*l), func(have int) bool { return have == n })
	if on {
		next = append(next, n)
		slices.Sort(next)
	}
	*l = next
	a.setReading(r)
	return nil
}

// MustRead lists the blocks that a party must have read before the code: everything but title and number, which say
// nothing of the matter.
func (a *Agreement) MustRead() []int {
	var out []int
	for _, b := range a.Blocks {
		if b.T != paper.TitleBlock && b.T != paper.NumberBlock {
			out = append(out, b.N)
		}
	}
	return out
}

// ReadBack takes the six digits that a party keyed. A wrong code is an outcome, not an error, because it is counted and
// stored: the caller saves the agreement and then answers "agreement.wrong_code". The third wrong one calls the mediator;
// the right code still counts after that.
//
// Errors: fault.Conflict "agreement.readback_incomplete" while a block is unread; as Read.
func (a *Agreement) ReadBack(party, digest, code string, at int64) (ok bool, err error) {
	if err := a.live(party, digest); err != nil {
		return false, err
	}
	r := a.Reading(party)
	for _, n := range a.MustRead() {
		if !slices.Contains(r.Read, n) {
			return false, fault.New(fault.Conflict, "agreement.readback_incomplete")
		}
	}
	if code != a.Digest.Code() {
		r.Tries++
		r.Called = r.Called || r.Tries >= MaxTries
		a.setReading(r)
		return false, nil
	}
	r.Tries, r.Called = 0, false
	if r.OKAt == 0 {
		r.OKAt = at
	}
	a.setReading(r)
	return true, nil
}

// MaySign says what still keeps a party from signing, nil when nothing does. identity says how his identity was checked
// in this session, "" when it was not.
//
// Errors: fault.Conflict "agreement.state", "agreement.wrong_digest", "agreement.already_signed",
// "agreement.readback_incomplete"; fault.Forbidden "agreement.paper_required", "agreement.not_a_party",
// "session.identity_missing".
func (a *Agreement) MaySign(party, digest, identity string) error {
	if slices.ContainsFunc(a.Signatures, func(s Signature) bool { return s.Party == party }) {
		return fault.New(fault.Conflict, "agreement.already_signed")
	}
	if err := a.live(party, digest); err != nil {
		return err
	}
	switch {
	case a.Mode != Electronic:
		return fault.New(fault.Forbidden, "agreement.paper_required")
	case identity == "":
		return fault.New(fault.Forbidden, "session.identity_missing")
	case a.Reading(party).OKAt == 0:
		return fault.New(fault.Conflict, "agreement.readback_incomplete")
	}
	return nil
}

// Sign takes a party's signature. m is the state of things now: a party who took his consent to electronic signing back
// since the freeze sends the agreement to paper.
//
// Errors: as MaySign; fault.Invalid "paper.mark".
func (a *Agreement) Sign(s Signature, m Meta) error {
	if err := a.MaySign(s.Party, s.Digest, s.IdentityCheck); err != nil {
		return err
	}
	if ModeOf(m.Category, a.Draft.Clauses, m.Parties) != Electronic {
		return fault.New(fault.Forbidden, "agreement.paper_required")
	}
	if err := mark(&s); err != nil {
		return err
	}
	a.Signatures = append(a.Signatures, s)
	a.State = Signing
	return nil
}

func mark(s *Signature) error {
	if err := s.Mark.Check(); err != nil {
		return err //nolint:wrapcheck // a fault already
	}
	var err error
	s.MarkSHA256, err = s.Mark.SHA256()
	return err //nolint:wrapcheck // of our own encoder
}

// AllSigned reports whether every party signed.
func (a *Agreement) AllSigned() bool {
	return len(a.Signers) > 0 && !slices.ContainsFunc(a.Signers, func(id string) bool {
		return !slices.ContainsFunc(a.Signatures, func(s Signature) bool { return s.Party == id })
	})
}

// SignMediator takes the mediator's signature after all parties'. reauth says that he proved himself again just now.
//
// Errors: fault.Forbidden "agreement.reauth_required", "agreement.paper_required"; fault.Conflict "agreement.state",
// "agreement.wrong_digest", "agreement.already_signed", "agreement.readback_incomplete" while a party is missing.
func (a *Agreement) SignMediator(s Signature, reauth bool) error {
	switch {
	case a.Mediator != nil:
		return fault.New(fault.Conflict, "agreement.already_signed")
	case a.State != Frozen && a.State != Signing:
		return refused(a.State)
	case a.Mode != Electronic:
		return fault.New(fault.Forbidden, "agreement.paper_required")
	case s.Digest != a.Digest.SHA256():
		return fault.New(fault.Conflict, "agreement.wrong_digest")
	case !a.AllSigned():
		return fault.New(fault.Conflict, "agreement.readback_incomplete")
	case !reauth:
		return fault.New(fault.Forbidden, "agreement.reauth_required")
	}
	if err := mark(&s); err != nil {
		return err
	}
	a.Mediator = &s
	a.State = MediatorSigned
	return nil
}

// Seal puts the committee's seal on and makes the agreement effective.
func (a *Agreement) Seal(kid string, rule Rule, at int64) error {
	if a.State != MediatorSigned {
		return refused(a.State)
	}
	a.SealKID, a.SealedAt = kid, at
	parties := make([]int64, len(a.Signatures))
	for i, s := range a.Signatures {
		parties[i] = s.At
	}
	a.EffectiveAt = EffectiveAt(rule, parties, a.Mediator.At, at)
	a.State = Effective
	return nil
}

// EffectiveAt returns the instant from which an agreement binds: the latest of what its rule asks for.
func EffectiveAt(rule Rule, parties []int64, mediator, seal int64) int64 {
	at := slices.Max(append([]int64{0}, parties...))
	switch rule {
	case PartiesOnly:
		return at
	case PartiesAndSeal:
		return max(at, seal)
	case ThreeSignatures:
	}
	return max(at, mediator, seal)
}

// AttestPaper takes the scan of the printed agreement that everybody signed by hand. The day of the last mark is the
// effective day; zone is the service's time zone, today its day.
//
// Errors: fault.Conflict "agreement.state"; fault.Forbidden "agreement.not_on_paper"; fault.Invalid "agreement.signed_on".
func (a *Agreement) AttestPaper(att Attestation, zone *time.Location) error {
	switch {
	case a.State != Frozen:
		return refused(a.State)
	case a.Mode != OnPaper:
		return fault.New(fault.Forbidden, "agreement.not_on_paper")
	}
	day, err := time.ParseInLocation(time.DateOnly, att.SignedOn, zone)
	frozen := time.UnixMicro(a.FrozenAt).In(zone).Format(time.DateOnly)
	today := time.UnixMicro(att.At).In(zone).Format(time.DateOnly)
	if err != nil || att.SignedOn < frozen || att.SignedOn > today {
		return fault.InField("agreement.signed_on", "signed_on")
	}
	a.Attest = &att
	a.EffectiveAt = day.UnixMicro()
	a.State = Effective
	return nil
}

// Withdraw ends a version that a party will not sign (code 7) or that nobody needs any more.
func (a *Agreement) Withdraw() error {
	switch a.State {
	case Drafting, Frozen, Signing:
		a.State = Withdrawn
		return nil
	case MediatorSigned, Effective, Withdrawn, Replaced:
	}
	return refused(a.State)
}

// Next replaces a frozen version by a draft of version v+1 with the same clauses. Signatures of the old one are void;
// they stay on it for the record.
func (a *Agreement) Next(id ident.AgreementID) (Agreement, error) {
	if a.State != Frozen && a.State != Signing {
		return Agreement{}, refused(a.State)
	}
	a.State = Replaced
	n := New(id, a.V+1)
	n.Draft, n.Mode = a.Draft, a.Mode
	return n, nil
}

// Entries lists the signatures as they stand in a package.
func (a *Agreement) Entries(names map[string]string) []mediation.SignatureEntry {
	out := []mediation.SignatureEntry{}
	for _, s := range a.Signatures {
		out = append(out, mediation.SignatureEntry{
			Role: "party", Party: s.Party, Name: names[s.Party], Digest: s.Digest, Method: "mark", At: s.At,
			MarkSHA256: s.MarkSHA256, IdentityCheck: s.IdentityCheck, Channel: s.Channel,
		})
	}
	if s := a.Mediator; s != nil {
		out = append(out, mediation.SignatureEntry{
			Role: "mediator", Name: names[s.Party], Digest: s.Digest, Method: "mark+password", At: s.At, MarkSHA256: s.MarkSHA256, Channel: s.Channel,
		})
	}
	if s := a.Attest; s != nil {
		out = append(out, mediation.SignatureEntry{
			Role: "clerk", Name: names[string(s.Clerk)], Digest: a.Digest.SHA256(), Method: "paper", At: s.At, MarkSHA256: s.Scan, Channel: "paper",
		})
	}
	return out
}

// Record returns the agreement for machines, as it travels in a dossier.
func (a *Agreement) Record(names map[string]string) paper.Record {
	r := paper.NewRecord(a.Blocks, a.Digest)
	r.Mode, r.FrozenAt, r.EffectiveAt = string(a.Mode), a.FrozenAt, a.EffectiveAt
	r.Signatures = a.Entries(names)
	for _, s := range a.Signatures {
		r.Marks = append(r.Marks, s.Mark)
	}
	if a.Mediator != nil {
		r.Marks = append(r.Marks, a.Mediator.Mark)
	}
	return r
}
