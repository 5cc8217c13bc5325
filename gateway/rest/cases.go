package rest

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/cases"
	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/mediation/parcel"
)

// Cases is the area of the case store. All fields must be set.
type Cases struct {
	Book *cases.Book
	Tree *org.Tree
	Now  func() time.Time
}

// Routes implements Area.
func (a Cases) Routes(r *Router) {
	see := RequireRole(auth.RolesOf(auth.SeeCases)...)
	r.Get("/cases", see, a.list)
	r.Get("/cases/{id}", see, a.get)
	r.Get("/cases/{id}/files/{digest}", see, a.file)
	r.Get("/cases/{id}/package", see, a.pack)
}

type caseRow struct {
	ID            ident.CaseID       `json:"id"`
	Subject       string             `json:"subject"`
	Kind          string             `json:"kind"`
	Number        string             `json:"number"`
	ReceiptNo     string             `json:"receipt_no"`
	Category      mediation.Category `json:"category"`
	Unit          string             `json:"unit"` // its name
	State         cases.State        `json:"state"`
	Parties       []string           `json:"parties"` // masked
	ReceivedAt    int64              `json:"received_at"`
	EffectiveAt   *int64             `json:"effective_at"`
	ConfirmLastOn *string            `json:"confirm_last_on"`
	FollowupOn    *string            `json:"followup_on"`
	ClosingCode   string             `json:"closing_code"`
	Rating        *int               `json:"rating"`
}

// some is nil for the zero value.
func some[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func (a Cases) row(r cases.Row) caseRow {
	out := caseRow{
		ID: r.ID, Subject: r.Subject, Kind: r.Kind, Number: r.Number, ReceiptNo: r.ReceiptNo, Category: r.Category, State: r.State,
		Parties: r.Parties, ReceivedAt: r.ReceivedAt, EffectiveAt: some(r.EffectiveAt), ConfirmLastOn: some(r.ConfirmLastOn),
		FollowupOn: some(r.FollowupOn), ClosingCode: r.ClosingCode, Rating: some(r.Rating),
	}
	if u, ok := a.Tree.Get(r.Unit); ok {
		out.Unit = u.Name
	}
	if out.Parties == nil {
		out.Parties = []string{}
	}
	return out
}

// unitWithin returns the unit of a query when it lies in the caller's subtree, the caller's own when none is named.
func unitWithin(c *fiber.Ctx, tree *org.Tree) (ident.UnitID, error) {
	own := Caller(c).StaffUnit
	unit := ident.UnitID(c.Query("unit"))
	switch {
	case unit == "":
		return own, nil
	case !ident.Valid(unit):
		return "", fault.InField("list.bad_filter", "unit")
	case !tree.Under(own, unit):
		return "", &fault.Error{Kind: fault.NotFound, Code: "org.no_unit", Field: "unit"}
	}
	return unit, nil
}

// limitOf reads how many rows a page may have, 0 when the query does not say.
func limitOf(c *fiber.Ctx) (int, error) {
	s := c.Query("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fault.InField("list.bad_filter", "limit")
	}
	return n, nil
}

func (a Cases) list(c *fiber.Ctx) error {
	unit, err := unitWithin(c, a.Tree)
	if err != nil {
		return err
	}
	f := cases.Filter{Unit: unit, Q: c.Query("q"), Kind: c.Query("kind"), State: cases.State(c.Query("state"))}
	if f.Limit, err = limitOf(c); err != nil {
		return err
	}
	page, err := a.Book.List(c.UserContext(), f, c.Query("cursor"))
	if err != nil {
		return err
	}
	rows := make([]caseRow, 0, len(page.Rows))
	for _, r := range page.Rows {
		rows = append(rows, a.row(r))
	}
	return c.JSON(fiber.Map{"rows": rows, "next": page.Next, "total": page.Total})
}

type caseSeal struct {
	KID string `json:"kid"`
	Alg string `json:"alg"`
	OK  bool   `json:"ok"`
}

type caseVersion struct {
	Version    int      `json:"version"`
	DeliveryID string   `json:"delivery_id"`
	ReceiptNo  string   `json:"receipt_no"`
	ReceivedAt int64    `json:"received_at"`
	Seal       caseSeal `json:"seal"`
}

type casePaper struct {
	Paper     int    `json:"paper"`
	Name      string `json:"name"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
	Version   int    `json:"version"`
}

type caseCheck struct {
	Paper   int    `json:"paper"`
	Title   string `json:"title"`
	Must    bool   `json:"must"`
	Present bool   `json:"present"`
}

type caseDetail struct {
	caseRow

	Versions  []caseVersion `json:"versions"` // newest first
	Papers    []casePaper   `json:"papers"`   // of the newest version
	Checklist []caseCheck   `json:"checklist"`
}

func (a Cases) get(c *fiber.Ctx) error {
	id, err := pathID[ident.CaseID](c, "case.none")
	if err != nil {
		return err
	}
	k, err := a.Book.Open(c.UserContext(), plainCommand(c, "case.opened", a.Now()), Caller(c).StaffUnit, id)
	if err != nil {
		return err
	}
	out := caseDetail{caseRow: a.row(k.Row), Versions: []caseVersion{}, Papers: []casePaper{}, Checklist: []caseCheck{}}
	for _, v := range k.Versions {
		out.Versions = append(out.Versions, caseVersion{
			Version: v.Version, DeliveryID: v.DeliveryID, ReceiptNo: v.ReceiptNo, ReceivedAt: v.ReceivedAt,
			Seal: caseSeal{KID: v.SealKID, Alg: v.SealAlg, OK: v.SealKnown},
		})
	}
	for _, p := range k.Papers() {
		out.Papers = append(out.Papers, casePaper{Paper: p.Paper, Name: p.Name, Digest: p.SHA256, Size: p.Size, MediaType: p.MediaType, Version: p.Version})
	}
	for _, x := range k.Checklist() {
		out.Checklist = append(out.Checklist, caseCheck(x))
	}
	return c.JSON(out)
}

func (a Cases) file(c *fiber.Ctx) error {
	id, err := pathID[ident.CaseID](c, "case.none")
	if err != nil {
		return err
	}
	f, err := a.Book.File(c.UserContext(), plainCommand(c, "case.file_read", a.Now()), Caller(c).StaffUnit, id, c.Params("digest"))
	if err != nil {
		return err
	}
	return attachment(c, f.Name, f.MediaType, f.Body)
}

func (a Cases) pack(c *fiber.Ctx) error {
	id, err := pathID[ident.CaseID](c, "case.none")
	if err != nil {
		return err
	}
	version := 0
	if s := c.Query("version"); s != "" {
		if version, err = strconv.Atoi(s); err != nil || version < 1 {
			return fault.InField("list.bad_filter", "version")
		}
	}
	p, err := a.Book.Package(c.UserContext(), plainCommand(c, "case.package_read", a.Now()), Caller(c).StaffUnit, id, version)
	if err != nil {
		return err
	}
	body, err := parcel.Write(p.Payload, p.Signatures, p.Files)
	if err != nil {
		return err
	}
	return attachment(c, parcel.DeliveryID(p.Payload)+".tar", "application/x-tar", body)
}
