package store_test

import (
	"testing"

	"heyi/store"
)

func TestPositional(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT 1":                                    "SELECT 1",
		"UPDATE a SET b = $1 WHERE c = $2":            "UPDATE a SET b = ? WHERE c = ?",
		"VALUES ($1, CAST($2 AS TEXT)), ($3, $4)":     "VALUES (?, CAST(? AS TEXT)), (?, ?)",
		"$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11":          "? ? ? ? ? ? ? ? ? ? ?",
		"SELECT $1, $1":                               "SELECT $1, $1",
		"SELECT $2, $1":                               "SELECT $2, $1",
		"SELECT $10":                                  "SELECT $10",
		"SELECT '$' || $1":                            "SELECT '$' || $1",
		"INSERT INTO a VALUES ($1) RETURNING b, '1$'": "INSERT INTO a VALUES ($1) RETURNING b, '1$'",
	} {
		if got := store.Positional(query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}
