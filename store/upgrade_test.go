package store_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/mediation"
	"heyi/mediation/dispute"
	"heyi/mediation/flow"
	"heyi/store"
	"heyi/store/storetest"
)

// later is what the next version of the program might add: a column in every table that a mediation writes, an index on
// the busiest, a table of its own.
func later() string {
	var b strings.Builder
	for _, table := range []string{
		"event", "lease", "ticket", "offer", "seat", "session", "session_member", "attachment", "room_placement", "dispute", "agreement", "document", "blob",
		"party_link", "handoff", "case_file", "case_version", "notice_out", "device", "device_link", "visit", "idempotency", "login_session",
	} {
		fmt.Fprintf(&b, "ALTER TABLE %s ADD COLUMN later TEXT NOT NULL DEFAULT 'x';\n", table)
	}
	b.WriteString(`-- and more
		CREATE INDEX ticket_later ON ticket (later);
		CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL);
		CREATE UNIQUE INDEX later_at ON later (at);
		INSERT INTO later (id, at) VALUES ('x', 1);`)
	return b.String()
}

// A program keeps working, and starts again, on a database that a newer program of the same minor version has added to:
// so nodes are upgraded one after the other while people are served.
func TestOlderProgramWorksAfterAnAdditiveMigration(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		before := newTalk(t, h) // statements are prepared, a call is under way
		files := withFiles(t, map[string]string{"9998_later.additive.sql": later()})
		must(t, store.MigrateWith(t.Context(), h.cfg, files))
		must(t, addsOnly(later()))

		digest := before.signed() // the old process, its whole way
		p := newPost(h)
		p.work()
		if row := p.row(before.id); row.ReceiptNo == "" {
			t.Errorf("the package is %s", row.State)
		}
		h.ok(before.finish.Step(h.ctx()))
		if v := before.view(); v.State != dispute.HandedOff {
			t.Errorf("the dispute is %s", v.State)
		}
		h.ok(h.control(h.lawyer, before.session, flow.OpEnd))
		h.ok(h.flow.WrapUp(h.ctx(), h.cmd("session.wrap_up", before.staff.Actor, newKey()), h.lawyer, before.session, "served"))

		h.kill(10 * time.Second) // an old program that starts again
		p = newPost(h)
		p.consulted(h.tv[1])
		p.work()
		before.dockets = h.newDockets(before.drawn.render)
		before.checkPackage(digest)
		h.chain("dispute", before.id)

		var b bytes.Buffer
		_, _, err := store.Backup(t.Context(), h.cfg, &b, store.BackupOptions{})
		wantCode(t, "a backup by a program that does not know all tables", err, "store.migration_newer")

		must(t, store.MigrateWith(t.Context(), h.cfg, withFiles(t, map[string]string{"9998_later.additive.sql": later(), "9999_last.sql": "DROP TABLE later;"})))
		h.join(h.tv[2], mediation.Consult) // who runs is not stopped
		_, err = store.Open(t.Context(), h.cfg)
		wantCode(t, "a start after a migration that is not additive", err, "store.migration_newer")
	})
}

// An older program that has migrations of its own to run, or whose history differs, is refused in any case.
func TestAdditiveIsNoWayAroundTheHistory(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		storetest.Open(t, c)
		must(t, store.MigrateWith(t.Context(), c, withFiles(t, map[string]string{"9998_later.additive.sql": "CREATE TABLE later (id TEXT PRIMARY KEY);"})))
		err := store.MigrateWith(t.Context(), c, withFiles(t, map[string]string{"9997_own.sql": "CREATE TABLE own (id TEXT PRIMARY KEY);"}))
		wantCode(t, "a migration before one that ran", err, "store.migration_newer")
		err = store.MigrateWith(t.Context(), c, withFiles(t, map[string]string{"9998_later.additive.sql": "CREATE TABLE other (id TEXT PRIMARY KEY);"}))
		wantCode(t, "another file under its number", err, "store.migration_edited")
	})
}

// addsOnly refuses statements that an older program could stumble over.
func addsOnly(text string) error {
	text = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "")
	created := regexp.MustCompile(`(?i)^CREATE TABLE (\w+) \(`)
	column := regexp.MustCompile(`(?i)^ALTER TABLE \w+ ADD COLUMN \w+ (TEXT|BIGINT|BOOLEAN|BYTEA)( NOT NULL DEFAULT [^ ]+| DEFAULT [^ ]+)?$`)
	index := regexp.MustCompile(`(?i)^CREATE (UNIQUE )?INDEX \w+ ON (\w+) \(`)
	insert := regexp.MustCompile(`(?i)^INSERT INTO (\w+) \(`)
	var own []string
	for statement := range strings.SplitSeq(text, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		if m := created.FindStringSubmatch(statement); m != nil {
			own = append(own, m[1])
			continue
		}
		if m := index.FindStringSubmatch(statement); m != nil && (m[1] == "" || slices.Contains(own, m[2])) {
			continue
		}
		if m := insert.FindStringSubmatch(statement); m != nil && slices.Contains(own, m[1]) {
			continue
		}
		if statement != "" && !column.MatchString(statement) {
			return fmt.Errorf("not additive: %s", statement)
		}
	}
	return nil
}

func TestAdditiveMigrations(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{
		"DROP TABLE ticket", "ALTER TABLE ticket DROP COLUMN ver", "ALTER TABLE ticket RENAME COLUMN ver TO v", "ALTER TABLE ticket RENAME TO t",
		"ALTER TABLE ticket ADD COLUMN x TEXT NOT NULL", "ALTER TABLE ticket ADD COLUMN x TEXT REFERENCES seat (staff_id)", "ALTER TABLE ticket ADD COLUMN x TEXT UNIQUE",
		"CREATE UNIQUE INDEX x ON ticket (no)", "UPDATE ticket SET ver = 1", "DELETE FROM ticket", "INSERT INTO ticket (id) VALUES ('x')",
		"CREATE TABLE x (id TEXT); DROP INDEX ticket_due", "CREATE TRIGGER x AFTER INSERT ON ticket BEGIN SELECT 1; END",
	} {
		if addsOnly(wrong) == nil {
			t.Errorf("%s counts as additive", wrong)
		}
	}
	files, err := fs.Glob(store.EmbeddedMigrations(), "migrations/*.additive.sql")
	must(t, err)
	for _, name := range files {
		text, err := fs.ReadFile(store.EmbeddedMigrations(), name)
		must(t, err)
		if err := addsOnly(string(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever asks for "all columns" breaks when a newer program adds one.
func TestStatementsNameTheirColumns(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	must(t, err)
	vague := regexp.MustCompile(`(?i)SELECT \*|RETURNING \*|\w\.\* FROM|INSERT INTO \w+ (VALUES|SELECT)`)
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(file.Name())
		must(t, err)
		for _, found := range vague.FindAllString(string(src), -1) {
			t.Errorf("%s: %s", file.Name(), found)
		}
	}
}
