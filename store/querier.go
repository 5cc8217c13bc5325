package store

import (
	"context"
	"database/sql"

	"heyi/internal/audit"
)

// rows is the row that a scan function reads: *sql.Rows without the means to leave the row.
type rows interface {
	Scan(dest ...any) error
}

// querier is what reads need; a *tx and Store.read have it, so one function can read in both.
type querier interface {
	// one scans the first row into dest; sql.ErrNoRows when there is none.
	one(query string, args []any, dest ...any) error
	// all calls scan for each row; scan must not query. An error of scan ends the walk and is returned.
	all(query string, args []any, scan func(rows) error) error
}

// handle is what *sql.DB, *sql.Tx and a statement cache have in common.
type handle interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reader runs queries of one caller.
type reader struct {
	ctx     context.Context //nolint:containedctx // lives as long as one command; keeps ctx out of every query's arguments
	on      handle
	dialect dialect
}

func (r reader) one(query string, args []any, dest ...any) error {
	return r.dialect.fault(r.on.QueryRowContext(r.ctx, query, args...).Scan(dest...))
}

func (r reader) all(query string, args []any, scan func(rows) error) error {
	rs, err := r.on.QueryContext(r.ctx, query, args...)
	if err != nil {
		return r.dialect.fault(err)
	}
	defer func() { _ = rs.Close() }() // a broken walk shows in Err
	for rs.Next() {
		if err := scan(rs); err != nil {
			return r.dialect.fault(err)
		}
	}
	return r.dialect.fault(rs.Err())
}

// tx is one command's transaction; it is valid until the function given to write returns. After a failed statement
// PostgreSQL refuses all further ones, so fn returns the error; use ON CONFLICT where a clash is expected.
type tx struct {
	reader
	store  *Store
	events []audit.Event // written when the command is done
}

// run carries out a command and then writes its events.
func (t *tx) run(fn func(*tx) error) error {
	if err := fn(t); err != nil {
		return err
	}
	return t.appendEvents()
}

// exec runs a statement that changes rows and returns how many it touched.
func (t *tx) exec(query string, args ...any) (int64, error) {
	res, err := t.on.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, t.dialect.fault(err)
	}
	n, err := res.RowsAffected()
	return n, t.dialect.fault(err)
}

// forUpdate ends a SELECT whose rows this command is going to change.
func (t *tx) forUpdate() string { return t.dialect.forUpdate() }

// skipLocked ends a SELECT that claims rows and passes over those that another command holds.
func (t *tx) skipLocked() string { return t.dialect.skipLocked() }
