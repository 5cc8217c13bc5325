package handoff

import (
	"context"
	"slices"
	"time"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/page"
	"heyi/mediation"
)

// Filter narrows the list of packages. Unit is the subtree; it must be set.
type Filter struct {
	Unit  ident.UnitID
	State State // "" = every state
	After page.Position
	Limit int
}

// Desk is what people see and do of the store's outbox.
type Desk interface {
	// Handoffs lists packages, newest first: one row more than the limit when there is another page.
	Handoffs(ctx context.Context, f Filter) (rows []Row, total int, err error)
	// RetryHandoff queues a failed or dead package of the subtree of unit ("" = everywhere) anew. fault.NotFound
	// "handoff.none"; fault.Conflict "handoff.state".
	RetryHandoff(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.HandoffID) (Row, error)
	// RetryDeadHandoffs queues every dead package anew and returns how many there were.
	RetryDeadHandoffs(ctx context.Context, cmd mediation.Command) (int, error)
}

// Office shows the outbox to operators and lets them try again. It is safe for concurrent use.
type Office struct {
	Store Desk
	Now   func() time.Time
}

// Page is one page of packages, newest first.
type Page struct {
	Rows  []Row
	Next  string // cursor of the next page, "" at the end
	Total int    // of the whole filter
}

// List returns one page of the packages of a subtree.
//
// Errors: fault.Invalid "list.bad_filter", "list.bad_cursor".
func (o *Office) List(ctx context.Context, unit ident.UnitID, state State, cursor string, limit int) (Page, error) {
	if state != "" && !slices.Contains(States(), state) {
		return Page{}, fault.InField("list.bad_filter", "state")
	}
	f := Filter{Unit: unit, State: state}
	var err error
	if f.Limit, err = page.Limit(limit); err != nil {
		return Page{}, err
	}
	if f.After, err = page.Parse(cursor); err != nil {
		return Page{}, err
	}
	rows, total, err := o.Store.Handoffs(ctx, f)
	p := Page{Rows: rows, Total: total}
	if len(rows) > f.Limit {
		p.Rows = rows[:f.Limit]
		last := p.Rows[f.Limit-1]
		p.Next = page.Position{At: last.CreatedAt, ID: string(last.ID)}.Cursor()
	}
	return p, err
}

// Retry queues a package anew that failed or was given up.
//
// Errors: fault.NotFound "handoff.none" also outside the subtree; fault.Conflict "handoff.state".
func (o *Office) Retry(ctx context.Context, cmd mediation.Command, unit ident.UnitID, id ident.HandoffID) (Row, error) {
	return o.Store.RetryHandoff(ctx, cmd, unit, id)
}
