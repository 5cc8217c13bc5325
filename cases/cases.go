// Package cases is the case store: what becomes of a dossier or consult record after the hand-off (domain.md 7.6, 7.7).
// It is the real receiver, in this process or alone on another machine (heyi serve --roles=cases), and it takes packages
// by the same signed contract either way.
//
// Intake checks what arrives and answers a receipt; Book finds and shows cases. One dispute is one case, one
// consultation one record, one version of a package one receipt, however often it is sent.
//
// Concurrency: Intake and Book are safe for concurrent use; everything else is a value or pure.
//
// Errors: fault.Unauthenticated "handoff.unknown_sender", "handoff.bad_signature", "handoff.clock"; fault.Invalid
// "handoff.bad_package", "handoff.unknown_unit"; fault.Conflict "handoff.digest_conflict"; fault.Forbidden
// "handoff.other_sender"; fault.NotFound "case.none", "file.none"; fault.Invalid "list.bad_filter", "list.bad_cursor".
package cases

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/page"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

// State is the state of a case (domain.md 7.7).
type State string

// The states of this build.
const (
	Received State = "received" // the seal is whole, but its key stands in no published list
	Verified State = "verified" // the seal is that of a known committee
	Closed   State = "closed"   // nothing is left to perform: a consultation, a dispute without agreement
)

// States lists every state.
func States() []State { return []State{Received, Verified, Closed} }

// StateOf returns the state of a case after a package came: who sealed it must be known before it is verified, and what
// brings no duties is closed with that.
func StateOf(m mediation.Manifest, sealKnown bool) State {
	switch {
	case !sealKnown:
		return Received
	case m.Kind == parcel.Consult || m.ClosingCode != "1":
		return Closed
	}
	return Verified
}

// Arrival is a package that passed the checks of the intake.
type Arrival struct {
	Parcel     parcel.Parcel
	DeliveryID string
	Sender     string // name of the installation
	SenderKID  string
	SealKnown  bool
	State      State
	Day        string // the receiver's own, 20261122
}

// Row is one case in a list. Instants are Unix microseconds, 0 = none; days are YYYY-MM-DD, "" = none.
type Row struct {
	ID            ident.CaseID
	Subject       string
	Kind          string
	Version       int
	Number        string
	ReceiptNo     string
	Category      mediation.Category
	MediationKind string
	ClosingCode   string
	Unit          ident.UnitID
	State         State
	Parties       []string // masked
	ReceivedAt    int64
	EffectiveAt   int64
	ConfirmLastOn string
	FollowupOn    string
	Rating        int // 0 = none
}

// Version is one package of a case as it was received.
type Version struct {
	Version    int
	DeliveryID string
	ReceiptNo  string
	ReceivedAt int64
	SealKID    string
	SealAlg    string
	SealKnown  bool
	Files      []mediation.ManifestFile
}

// Case is a case with everything that came, the newest version first.
type Case struct {
	Row
	Versions []Version
}

// Paper is one file of a case.
type Paper struct {
	mediation.ManifestFile

	Version int // with which it came first
}

// Papers lists the files of the newest version.
func (c *Case) Papers() []Paper {
	if len(c.Versions) == 0 {
		return nil
	}
	list := make([]Paper, 0, len(c.Versions[0].Files))
	for _, f := range c.Versions[0].Files {
		p := Paper{ManifestFile: f, Version: c.Versions[0].Version}
		for _, v := range c.Versions[1:] {
			if slices.ContainsFunc(v.Files, func(x mediation.ManifestFile) bool { return x.SHA256 == f.SHA256 && x.Name == f.Name }) {
				p.Version = v.Version
			}
		}
		list = append(list, p)
	}
	return list
}

// Check is one line of the list of 13 papers.
type Check struct {
	Paper   int
	Title   string
	Must    bool
	Present bool
}

// Checklist compares the papers of a dossier with the list of the Ministry's forms (domain.md 5.6); a consultation has
// none. Papers 9 to 13 come after the hand-off.
func (c *Case) Checklist() []Check {
	if c.Kind != parcel.Dossier {
		return nil
	}
	list := []Check{
		{1, "调解申请书或受理登记表", true, false},
		{2, "权利义务告知书", true, false},
		{3, "当事人身份证明", true, false},
		{4, "授权委托书", false, false},
		{5, "调查记录", false, false},
		{6, "证据材料", false, false},
		{7, "调解记录", true, false},
		{8, "调解协议书或口头协议登记表", c.ClosingCode == "1", false},
		{9, "履行凭证", false, false},
		{10, "回访记录", false, false},
		{11, "司法确认材料", false, false},
		{12, "卷宗情况说明", c.ClosingCode != "1", false},
		{13, "封底", true, false},
	}
	for _, p := range c.Papers() {
		if p.Paper >= 1 && p.Paper <= len(list) {
			list[p.Paper-1].Present = true
		}
	}
	return list
}

// Filter narrows a list. Unit is the subtree; it must be set.
type Filter struct {
	Unit  ident.UnitID
	Q     string // number or its serial, receipt number, whole name of a party or id number
	Kind  string // "" = both
	State State  // "" = every state
	After page.Position
	Limit int
}

// Store keeps cases.
type Store interface {
	// Receive files a package in one transaction and draws its receipt number; first is false when it was there already:
	// the answer is the same. Errors: fault.Invalid "handoff.unknown_unit"; fault.Conflict "handoff.digest_conflict";
	// fault.Forbidden "handoff.other_sender".
	Receive(ctx context.Context, cmd mediation.Command, a Arrival) (r parcel.Receipt, first bool, err error)
	// Cases lists cases, newest first: one row more than the limit when there is another page.
	Cases(ctx context.Context, f Filter) (rows []Row, total int, err error)
	// Case returns a case of the subtree of unit. fault.NotFound "case.none".
	Case(ctx context.Context, unit ident.UnitID, id ident.CaseID) (Case, error)
	// CaseFile returns a file of a case of the subtree. fault.NotFound "case.none", "file.none".
	CaseFile(ctx context.Context, unit ident.UnitID, id ident.CaseID, digest string) (parcel.File, error)
	// CasePackage returns a version of the package of a case as it was received, 0 = the newest. fault.NotFound "case.none".
	CasePackage(ctx context.Context, unit ident.UnitID, id ident.CaseID, version int) (parcel.Parcel, error)
	// Looked appends the event that somebody read of a case: papers of people are read under a name (domain.md 5.1).
	Looked(ctx context.Context, cmd mediation.Command, id ident.CaseID, what string) error
}

// SerialOf returns the serial of a dispute number, "(2026)赤红西人调字第000123号" -> 123, also of what people type for it:
// 第123号, 000123, 123. ok is false for anything else.
func SerialOf(text string) (serial int64, ok bool) {
	if _, after, found := strings.Cut(text, "第"); found {
		text = after
	}
	text = strings.TrimSuffix(text, "号")
	if len(text) > 9 || strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	serial, err := strconv.ParseInt(text, 10, 64)
	return serial, err == nil && serial > 0
}

// MaskName leaves the family name of a person, or the first sign of another name: 王＊＊.
func MaskName(name string) string {
	name = strings.TrimSpace(name)
	first, size := utf8.DecodeRuneInString(name)
	if size == 0 {
		return ""
	}
	return string(first) + strings.Repeat("*", min(utf8.RuneCountInString(name)-1, 2))
}

// Book finds and shows cases. It is safe for concurrent use.
type Book struct{ Store Store }

// Page is one page of cases, newest first.
type Page struct {
	Rows  []Row
	Next  string // cursor of the next page, "" at the end
	Total int    // of the whole filter
}

// maxQuery is the longest search text in characters.
const maxQuery = 100

// List returns one page of the cases of a subtree.
//
// Errors: fault.Invalid "list.bad_filter", "list.bad_cursor".
func (b *Book) List(ctx context.Context, f Filter, cursor string) (Page, error) {
	f.Q = strings.TrimSpace(f.Q)
	switch {
	case utf8.RuneCountInString(f.Q) > maxQuery || !utf8.ValidString(f.Q):
		return Page{}, badFilter("q")
	case f.Kind != "" && f.Kind != parcel.Dossier && f.Kind != parcel.Consult:
		return Page{}, badFilter("kind")
	case f.State != "" && !slices.Contains(States(), f.State):
		return Page{}, badFilter("state")
	}
	var err error
	if f.Limit, err = page.Limit(f.Limit); err != nil {
		return Page{}, err
	}
	if f.After, err = page.Parse(cursor); err != nil {
		return Page{}, err
	}
	rows, total, err := b.Store.Cases(ctx, f)
	p := Page{Rows: rows, Total: total}
	if len(rows) > f.Limit {
		p.Rows = rows[:f.Limit]
		last := p.Rows[f.Limit-1]
		p.Next = page.Position{At: last.ReceivedAt, ID: string(last.ID)}.Cursor()
	}
	return p, err
}

// Open returns a case of the subtree of unit and notes who looked.
//
// Errors: fault.NotFound "case.none".
func (b *Book) Open(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.CaseID) (Case, error) {
	c, err := b.Store.Case(ctx, unit, id)
	if err == nil {
		err = b.Store.Looked(ctx, cmd, id, "")
	}
	return c, err
}

// File returns a file of a case of the subtree of unit and notes who read it.
//
// Errors: fault.NotFound "case.none", "file.none".
func (b *Book) File(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.CaseID, digest string) (parcel.File, error) {
	f, err := b.Store.CaseFile(ctx, unit, id, digest)
	if err == nil {
		err = b.Store.Looked(ctx, cmd, id, digest)
	}
	return f, err
}

// Package returns a version of the package of a case, 0 = the newest, and notes who took it.
//
// Errors: fault.NotFound "case.none".
func (b *Book) Package(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.CaseID, version int) (parcel.Parcel, error) {
	p, err := b.Store.CasePackage(ctx, unit, id, version)
	if err == nil {
		err = b.Store.Looked(ctx, cmd, id, parcel.DeliveryID(p.Payload))
	}
	return p, err
}

func badFilter(field string) error { return fault.InField("list.bad_filter", field) }
