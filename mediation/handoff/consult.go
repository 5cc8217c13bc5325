package handoff

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/paper"
	"heyi/mediation/parcel"
)

// Facts are what the package of a consultation says; the words are personal data.
type Facts struct {
	Session   ident.SessionID
	Unit      ident.UnitID
	UnitCode  string
	UnitName  string
	Place     []string // from the city down
	Terminal  string
	TicketNo  string
	Category  mediation.Category
	Lang      mediation.Lang
	Staff     string
	Title     string
	StartedAt int64
	EndedAt   int64
	Outcome   string // served, converted, referred, booked

	NoteVersion int64
	Matter      string
	Advice      string
	Answer      string
	Materials   string
	NextStep    string

	Rating int // 1 to 5, 0 = none
}

// consultRecord is consult.json: the record for programs; 咨询记录.pdf says the same to people.
type consultRecord struct {
	Format      string             `json:"format"`
	Session     ident.SessionID    `json:"session"`
	NoteVersion int64              `json:"note_version"`
	TicketNo    string             `json:"ticket_no"`
	UnitCode    string             `json:"unit"`
	Place       []string           `json:"place"`
	Terminal    string             `json:"terminal"`
	Category    mediation.Category `json:"category"`
	Lang        mediation.Lang     `json:"lang"`
	Staff       string             `json:"staff"`
	StartedAt   int64              `json:"started_at"`
	EndedAt     int64              `json:"ended_at"`
	Outcome     string             `json:"outcome"`
	Matter      string             `json:"matter"`
	Advice      string             `json:"advice"`
	Answer      string             `json:"answer"`
	Materials   string             `json:"materials"`
	NextStep    string             `json:"next_step"`
	Rating      int                `json:"rating"`
}

// Render draws a paper as PDF; mediation/agreement/pdf has it.
type Render func(p paper.Paper) ([]byte, error)

// consultPackage makes the files and the manifest of a consultation.
func consultPackage(f Facts, version int, at int64, tz *time.Location, render Render) (mediation.Manifest, []parcel.File, error) {
	record, err := json.MarshalIndent(consultRecord{
		Format: "heyi.consult.v1", Session: f.Session, NoteVersion: f.NoteVersion, TicketNo: f.TicketNo, UnitCode: f.UnitCode, Place: f.Place,
		Terminal: f.Terminal, Category: f.Category, Lang: f.Lang, Staff: f.Staff, StartedAt: f.StartedAt, EndedAt: f.EndedAt, Outcome: f.Outcome,
		Matter: f.Matter, Advice: f.Advice, Answer: f.Answer, Materials: f.Materials, NextStep: f.NextStep, Rating: f.Rating,
	}, "", "  ")
	if err != nil {
		return mediation.Manifest{}, nil, err
	}
	doc, err := render(consultPaper(f.printable(anyPrintable), tz))
	if err != nil { // a character that no font has: the record goes out all the same, its words stand in consult.json
		doc, err = render(consultPaper(f.printable(surelyPrintable), tz))
	}
	if err != nil {
		return mediation.Manifest{}, nil, err
	}
	m := mediation.Manifest{
		Subject: string(f.Session), Kind: parcel.Consult, Version: version, Unit: f.UnitCode, UnitName: f.UnitName,
		Category: string(f.Category), MadeAt: at, Rating: f.Rating,
	}
	return m, []parcel.File{
		{Name: "咨询记录.pdf", MediaType: "application/pdf", Body: doc},
		{Name: "consult.json", MediaType: "application/json", Body: append(record, '\n')},
	}, nil
}

// consultPaper is the record as a form.
func consultPaper(f Facts, tz *time.Location) paper.Paper {
	day := func(at int64) string {
		if at == 0 {
			return "—"
		}
		return time.UnixMicro(at).In(tz).Format("2006年1月2日 15:04")
	}
	or := func(s, none string) string {
		if strings.TrimSpace(s) == "" {
			return none
		}
		return s
	}
	outcome := map[string]string{"served": "已当场答复", "converted": "已转为调解", "referred": "已转其他部门", "booked": "已预约"}[f.Outcome]
	p := paper.Paper{
		Title: "咨询记录", Number: f.TicketNo, Issuer: f.UnitName, At: f.EndedAt,
		Parts: []paper.Part{
			{Rows: []paper.Row{
				{Name: "受理单位", Value: f.UnitName},
				{Name: "地点", Value: or(strings.Join(f.Place, " "), "—")},
				{Name: "终端", Value: or(f.Terminal, "—")},
				{Name: "类别", Value: f.Category.Name()},
				{Name: "接待人", Value: strings.TrimSpace(f.Staff + " " + f.Title)},
				{Name: "开始时间", Value: day(f.StartedAt)},
				{Name: "结束时间", Value: day(f.EndedAt)},
				{Name: "处理结果", Value: or(outcome, "—")},
			}},
			{Heading: "咨询事项", Text: paper.Lines(or(f.Matter, "（未填写）")), Indent: true},
			{Heading: "法律意见", Text: paper.Lines(or(f.Advice, "（未填写）")), Indent: true},
			{Heading: "简短答复（已在屏幕上显示给来访人）", Text: paper.Lines(or(f.Answer, "（无）")), Indent: true},
			{Heading: "材料", Text: paper.Lines(or(f.Materials, "（无）")), Indent: true},
			{Heading: "下一步", Text: paper.Lines(or(f.NextStep, "（无）")), Indent: true},
		},
	}
	if f.Rating > 0 {
		p.Parts = append(p.Parts, paper.Part{Heading: "满意度", Text: []string{strconv.Itoa(f.Rating) + " 分（满分 5 分）"}})
	}
	return p
}

// unprintable stands on paper where a character cannot.
const unprintable = '□'

// printable replaces what does not pass in the words that people typed.
func (f Facts) printable(passes func(rune) bool) Facts {
	for _, s := range []*string{&f.Matter, &f.Advice, &f.Answer, &f.Materials, &f.NextStep} {
		*s = strings.Map(func(r rune) rune {
			if r == '\n' || passes(r) {
				return r
			}
			return unprintable
		}, paper.Clean(*s))
	}
	return f
}

func anyPrintable(r rune) bool { return paper.Text(string(r)) == nil }

// surelyPrintable are the characters that every Chinese font has: ASCII, the punctuation of Chinese and the ideographs
// of GB 2312 and its neighbours.
func surelyPrintable(r rune) bool {
	return r >= ' ' && r <= '~' || r >= 0x3000 && r <= 0x3011 || r >= 0x4E00 && r <= 0x9FA5 || r >= 0xFF01 && r <= 0xFF5E ||
		strings.ContainsRune("·—…‘’“”", r)
}
