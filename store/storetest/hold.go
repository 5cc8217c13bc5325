package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Hold takes the write lock of an embedded database as another process would, until the returned func gives it back.
// Nobody else can write meanwhile; reading goes on.
func Hold(ctx context.Context, path string) (release func() error, err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, fmt.Errorf("hold: %w", err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold: %w", err), db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}
