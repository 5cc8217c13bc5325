package store_test

import (
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"heyi/internal/fault"
	"heyi/store"
	"heyi/store/storetest"
)

func TestMigrateTwiceRunsNothing(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		ran := migrationsRan(t, s)
		if len(ran) == 0 {
			t.Fatal("no migration is recorded")
		}
		again := migrationsRan(t, storetest.Open(t, c))
		for version, at := range ran {
			if again[version] != at {
				t.Errorf("migration %d ran at %d and again at %d", version, at, again[version])
			}
		}
	})
}

func migrationsRan(t *testing.T, s *store.Store) map[int64]int64 {
	t.Helper()
	ran := map[int64]int64{}
	err := s.All(t.Context(), `SELECT version, at FROM schema_migration`, nil, func(r store.Rows) error {
		var version, at int64
		err := r.Scan(&version, &at)
		ran[version] = at
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ran
}

// withFiles returns the embedded migrations with some files changed or added.
func withFiles(t *testing.T, change map[string]string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(store.EmbeddedMigrations(), "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(store.EmbeddedMigrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	for name, text := range change {
		files["migrations/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// firstFiles returns the first n embedded migrations: an older program's.
func firstFiles(t *testing.T, n int) fs.FS {
	t.Helper()
	files := withFiles(t, nil).(fstest.MapFS)
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names[n:] {
		delete(files, name)
	}
	return files
}

func TestHistoryIsKept(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string // code, empty when accepted
	}{
		"nothing changed":                           {nil, ""},
		"a file that ran was edited":                {map[string]string{"0001_core.sql": "CREATE TABLE event (id TEXT);"}, "store.migration_edited"},
		"a file was slipped in before one that ran": {map[string]string{"0000_early.sql": "CREATE TABLE early (id TEXT);"}, "store.migration_edited"},
		"a new file comes last":                     {map[string]string{"9999_late.sql": "CREATE TABLE late (id TEXT); INSERT INTO late VALUES ('x');"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			storetest.EachConfig(t, func(t *testing.T, c store.Config) {
				storetest.Open(t, c)
				err := store.MigrateWith(t.Context(), c, withFiles(t, tt.files))
				if tt.want == "" && err != nil || tt.want != "" && fault.CodeOf(err) != tt.want {
					t.Errorf("err = %v, want code %q", err, tt.want)
				}
			})
		})
	}
}

func TestProgramOlderThanItsDatabaseRefuses(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		storetest.Open(t, c)
		if err := store.MigrateWith(t.Context(), c, withFiles(t, map[string]string{"9999_late.sql": "CREATE TABLE late (id TEXT);"})); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), c); fault.CodeOf(err) != "store.migration_newer" {
			t.Errorf("err = %v, want store.migration_newer", err)
		}
	})
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		files := map[string]string{"9998_half.sql": "CREATE TABLE half (id TEXT); INSERT INTO half VALUES ('x'); INSERT INTO no_such_table VALUES (1);"}
		if err := store.MigrateWith(t.Context(), c, withFiles(t, files)); err == nil {
			t.Fatal("a wrong migration was accepted")
		}
		files["9998_half.sql"] = "CREATE TABLE half (id TEXT); INSERT INTO half VALUES ('y');"
		if err := store.MigrateWith(t.Context(), c, withFiles(t, files)); err != nil {
			t.Errorf("the corrected migration: %v", err)
		}
		var id string
		if err := s.One(t.Context(), `SELECT id FROM half`, nil, &id); err != nil || id != "y" {
			t.Errorf("id = %q, err = %v; want y alone", id, err)
		}
	})
}

func TestNodesThatStartAtOnceMigrateOnce(t *testing.T) {
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		files := withFiles(t, map[string]string{"9998_once.sql": "CREATE TABLE once (id TEXT);", "9999_once.sql": "INSERT INTO once VALUES ('x');"})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := store.MigrateWith(t.Context(), c, files); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var n int
		if err := s.One(t.Context(), `SELECT count(*) FROM once`, nil, &n); err != nil || n != 1 {
			t.Errorf("n = %d, err = %v; want 1", n, err)
		}
	})
}
