package store_test

import (
	"fmt"
	"testing"

	"heyi/cases"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/internal/page"
	"heyi/store"
	"heyi/store/storetest"
)

// fiveYears is how many cases a city has after five years (domain.md 4.1); a search takes less than 200 ms at p95.
const fiveYears = 180_000

// BenchmarkCases measures lists and searches over the cases of five years, as the console asks for them.
func BenchmarkCases(b *testing.B) {
	for driver, config := range map[string]func(testing.TB) store.Config{store.SQLite: storetest.SQLiteConfig, store.Postgres: storetest.PostgresConfig} {
		b.Run(driver, func(b *testing.B) {
			s := storetest.Open(b, config(b))
			city, village := fillCases(b, s)
			for name, f := range map[string]cases.Filter{
				"city":     {Unit: city},
				"village":  {Unit: village},
				"kind":     {Unit: city, Kind: "consult"},
				"state":    {Unit: city, State: cases.Verified},
				"number":   {Unit: city, Q: "(2026)赤调字第123456号"},
				"serial":   {Unit: city, Q: "123456"},
				"receipt":  {Unit: city, Q: "R-123456"},
				"name":     {Unit: city, Q: "甲123456"},
				"nobody":   {Unit: city, Q: "无此人"},
				"far page": {Unit: city, After: page.Position{At: fiveYears / 2, ID: "~"}},
			} {
				if f.After == (page.Position{}) {
					f.After = page.Start()
				}
				f.Limit = page.Usual
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if _, _, err := s.Cases(b.Context(), f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

// fillCases writes the cases behind the service's back, spread over all units.
func fillCases(b *testing.B, s *store.Store) (city, village ident.UnitID) {
	b.Helper()
	seeds, err := org.Chifeng()
	if err == nil {
		_, err = s.SeedUnits(b.Context(), seeds)
	}
	if err != nil {
		b.Fatal(err)
	}
	units, err := s.Units(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, u := range units {
		switch u.Level {
		case org.City:
			city = u.ID
		case org.Village:
			village = u.ID
		case org.County, org.Township:
		}
	}
	names, err := s.Seal([]byte(`["甲*","乙*"]`))
	if err != nil {
		b.Fatal(err)
	}
	err = s.Write(b.Context(), func(t *store.Tx) error {
		for i, u := range units {
			_, err := t.Exec(`WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + $2 FROM n WHERE i + $2 <= $3)
				INSERT INTO case_file (id, subject, kind, sender, version, unit_id, number, serial, receipt_no, category, mediation_kind, closing_code,
					state, parties_enc, rating, effective_at, confirm_last_on, followup_on, amount_fen, received_at, ver, at)
				SELECT 'c' || i, 's' || i, CASE WHEN i % 2 = 0 THEN 'consult' ELSE 'dossier' END, 'self', 1, $4, '(2026)赤调字第' || i || '号', i, 'R-' || i, 'land', 'people', '1',
					CASE WHEN i % 3 = 0 THEN 'verified' ELSE 'closed' END, $5, 0, 0, '', '', 0, i, 1, i FROM n`,
				i+1, len(units), fiveYears, u.ID, names)
			if err != nil {
				return err
			}
		}
		for i := 1; i <= fiveYears; i += 100 { // names of every hundredth
			if _, err := t.Exec(`INSERT INTO case_term (term, case_id) VALUES ($1, $2)`, s.SearchHash(store.SearchName, fmt.Sprint("甲", i)), fmt.Sprint("c", i)); err != nil {
				return err
			}
		}
		_, err := t.Exec(`ANALYZE`) // as the engines do by and by
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return city, village
}
