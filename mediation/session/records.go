package session

import (
	"context"
	"time"
	"unicode/utf8"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Note is what was asked, advised and answered (domain.md 7.11). Its words are personal data: sealed in SQL, never in
// an event or log.
type Note struct {
	Version   int64  `json:"version"` // 0 = nothing saved yet
	Matter    string `json:"matter"`
	Advice    string `json:"advice"`
	Answer    string `json:"answer"` // the short written answer, at most 400 characters
	Materials string `json:"materials"`
	NextStep  string `json:"next_step"`
	SavedAt   *int64 `json:"saved_at"` // Unix microseconds
}

// The lengths of a note in characters.
const (
	maxAnswer = 400
	maxText   = 4000
)

// Check refuses texts that are too long.
//
// Errors: fault.Invalid "session.note_too_long" with the field.
func (n *Note) Check() error {
	for _, f := range []struct {
		name, text string
		max        int
	}{{"matter", n.Matter, maxText}, {"advice", n.Advice, maxText}, {"answer", n.Answer, maxAnswer}, {"materials", n.Materials, maxText}, {"next_step", n.NextStep, maxText}} {
		if utf8.RuneCountInString(f.text) > f.max {
			return fault.InField("session.note_too_long", f.name)
		}
	}
	return nil
}

// NoteChange is a saved note and who is told of it.
type NoteChange struct {
	Note   Note
	Shown  bool // the short answer changed, and somebody of the session is at the terminal
	Device ident.DeviceID
	Phone  ident.GrantID
	Ver    int64 // version of the terminal's situation
}

// RecordStore keeps notes and ratings. A note or rating that changes after the record was handed off sends its package
// once more, as the next version.
type RecordStore interface {
	// SaveNote writes the next version of a session's note when the present one is expect and staff is its mediator.
	// Errors: fault.NotFound "session.none"; fault.Stale "session.stale_note".
	SaveNote(ctx context.Context, cmd mediation.Command, id ident.SessionID, staff ident.StaffID, expect int64, n Note) (NoteChange, error)
	// Rate stores or changes the rating of an ended session of the terminal. Errors: fault.NotFound "session.none";
	// fault.Conflict "session.state"; fault.Expired "rating.closed" 24 h after the first one.
	Rate(ctx context.Context, cmd mediation.Command, id ident.SessionID, device ident.DeviceID, score int, editable time.Duration) (ver int64, err error)
}

// Records keeps what is written about a session.
type Records struct {
	Store  RecordStore
	Nudges coord.Nudges
	Now    func() time.Time
}

// ratingEditable is how long a rating may be changed (domain.md 7.7).
const ratingEditable = 24 * time.Hour

// SaveNote saves a note over the version that its writer saw. A short answer stands on the citizen's screens at once.
//
// Errors: fault.Stale "session.stale_note"; fault.NotFound "session.none"; fault.Invalid "session.note_too_long".
func (r *Records) SaveNote(ctx context.Context, cmd mediation.Command, id ident.SessionID, staff ident.StaffID, expect int64, n Note) (Note, error) {
	if err := n.Check(); err != nil {
		return Note{}, err
	}
	c, err := r.Store.SaveNote(ctx, cmd, id, staff, expect, n)
	if err != nil || !c.Shown {
		return c.Note, err
	}
	nudge := coord.Nudge{To: deviceClient(c.Device), T: wire.RoomMember, ID: string(id), Ver: c.Ver, Why: "answer"}
	r.Nudges.Publish(ctx, nudge)
	if c.Phone != "" {
		nudge.To = grantClient(c.Phone)
		r.Nudges.Publish(ctx, nudge)
	}
	return c.Note, nil
}

// Rate rates an ended session: 1 to 5, or 0 to skip it.
//
// Errors: fault.Invalid "rating.bad_score"; fault.NotFound "session.none"; fault.Conflict "session.state";
// fault.Expired "rating.closed".
func (r *Records) Rate(ctx context.Context, cmd mediation.Command, id ident.SessionID, device ident.DeviceID, score int) (int64, error) {
	if score < 0 || score > 5 {
		return 0, fault.InField("rating.bad_score", "score")
	}
	return r.Store.Rate(ctx, cmd, id, device, score, ratingEditable)
}
