package storetest_test

import (
	"testing"

	"heyi/store"
	"heyi/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestEachGivesAWorkingStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDatabasesAreApart(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		other := storetest.PostgresConfig(t)
		if c.Driver == store.SQLite {
			other = storetest.SQLiteConfig(t)
		}
		a, b := storetest.Open(t, c), storetest.Open(t, other)
		if _, ok, err := a.AcquireLease(t.Context(), "matcher", "n1", 1e9, c.Now()); !ok || err != nil {
			t.Fatalf("ok = %v, err = %v", ok, err)
		}
		if _, ok, err := b.AcquireLease(t.Context(), "matcher", "n2", 1e9, c.Now()); !ok || err != nil {
			t.Errorf("a lease of one test's database shows in another's: ok = %v, err = %v", ok, err)
		}
	})
}
