package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/dispute"
	"heyi/mediation/flow"
	"heyi/mediation/partylink"
	"heyi/people"
	"heyi/store"
	"heyi/store/archive"
	"heyi/store/storetest"
)

// places are where a backup is taken and where it goes.
func places() map[string]struct {
	from, to func(testing.TB) store.Config
} {
	type place = struct {
		from, to func(testing.TB) store.Config
	}
	return map[string]place{
		"sqlite to sqlite":     {storetest.SQLiteConfig, storetest.SQLiteConfig},
		"sqlite to postgres":   {storetest.SQLiteConfig, storetest.EmptyPostgresConfig},
		"postgres to postgres": {storetest.PostgresConfig, storetest.EmptyPostgresConfig},
		"postgres to sqlite":   {storetest.PostgresConfig, storetest.SQLiteConfig},
	}
}

// save returns a backup of the database of c.
func save(t *testing.T, c store.Config) ([]byte, archive.Manifest) {
	t.Helper()
	var b bytes.Buffer
	c.MasterKey = nil // not needed
	head, sums, err := store.Backup(t.Context(), c, &b, store.BackupOptions{Version: "v1", Node: testNode})
	if err != nil {
		t.Fatal(err)
	}
	if head.Engine != c.Driver || len(head.Migrations) == 0 || len(head.Tables) < 40 || head.Tables[0].Name != "key" {
		t.Errorf("head %+v", head)
	}
	return b.Bytes(), sums
}

func restore(ctx context.Context, c store.Config, r io.Reader) (store.Restored, error) {
	return store.Restore(ctx, c, r, store.RestoreOptions{MasterKey: func() ([]byte, error) { return c.MasterKey, nil }})
}

// content is every row of an archive, by table.
func content(t *testing.T, b []byte) map[string][]map[string]any {
	t.Helper()
	r, err := archive.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]map[string]any{}
	_, err = r.Read(archive.Visitor{Row: func(table archive.Table, values []any) error {
		row := map[string]any{}
		for i, v := range values {
			row[table.Columns[i].Name] = v
		}
		all[table.Name] = append(all[table.Name], row)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// signed brings a talk to a sealed agreement.
func (k *talk) signed() (digest string) {
	k.t.Helper()
	k.together(mediation.Contract)
	digest = k.freeze().Agreement.Digest
	k.readAll(k.a)
	k.readAll(k.b)
	over, err := k.dockets.Handover(k.ctx(), k.a, flow.KeyBody{Key: newKey()})
	k.ok(err)
	found, err := k.store.FindLink(k.ctx(), partylink.Secret{Hash: partylink.Hash(strings.TrimPrefix(over.URL, "https://heyi.example/s/"))})
	k.ok(err)
	phone := flow.By{Actor: mediation.Actor{Kind: mediation.ActorParty, ID: string(found.ID)}, Link: found.ID}
	_, err = k.dockets.Redeem(k.ctx(), mediation.Command{Name: "link.redeem", Actor: phone.Actor, At: k.now()}, found.ID, "phone")
	k.ok(err)
	k.ok(k.sign(phone))
	k.ok(k.sign(k.b))
	_, err = k.dockets.MediatorSign(k.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: digest, Password: secretWords, Mark: k.mark})
	k.ok(err)
	k.ok(k.finish.Step(k.ctx()))
	return digest
}

// A database on which everything happened is the same after a restore, but for what was running; and it works.
func TestRestoredDatabaseIsTheSameAndWorks(t *testing.T) {
	t.Parallel()
	for name, place := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, place.from(t))
			k := newTalk(t, h)
			digest := k.signed()
			f := newFleet(t, h.store, h.clock)
			box := newBox(t, devices.P256, "SN-1")
			f.enrol(t, box, f.village)
			up, err := h.store.ConnectLinks(t.Context(), devices.NodeID{Name: testNode, Inc: 1}, []devices.LinkUp{box.up(f)})
			must(t, err)
			staff := f.signer(t, "bing")
			cookie, err := f.people.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password, Addr: "192.0.2.1"})
			must(t, err)
			epoch, _, err := h.store.AcquireLease(t.Context(), "node/"+testNode, testNode, time.Minute, h.clock.Now())
			must(t, err)

			text, sums := save(t, h.cfg) // the house is still open
			to := place.to(t)
			to.Now = h.clock.Now
			got, err := restore(t.Context(), to, bytes.NewReader(text))
			must(t, err)
			if d := cmp.Diff(sums, got.Manifest); d != "" || got.Chains < 20 || len(got.Broken) > 0 {
				t.Errorf("%d chains, broken %v; %s", got.Chains, got.Broken, d)
			}
			again, _ := save(t, to)
			sameRows(t, content(t, text), content(t, again))

			h.ok(h.store.Close())
			h.cfg = to
			h.engine.forget()
			h.start()
			k.dockets = h.newDockets(k.drawn.render)
			if v := k.view(); v.State != dispute.Agreed || v.Agreement.State != agreement.Effective || v.Agreement.Digest != digest {
				t.Errorf("the dispute is %s, its agreement %s", v.State, v.Agreement.State)
			}
			k.checkPackage(digest) // opens what is sealed, verifies signatures and seal
			for _, file := range k.mine(k.b).Files {
				paper, err := k.dockets.MyFile(t.Context(), k.b, file.Digest)
				must(t, err)
				if !bytes.HasPrefix(paper.Content, []byte("%PDF-")) {
					t.Errorf("%s is no PDF", file.Name)
				}
			}
			p := newPost(h)
			p.work()
			if row := p.row(k.id); row.ReceiptNo == "" {
				t.Errorf("the package is %s", row.State)
			}
			h.chain("dispute", k.id)
			if types := h.chain("store", "backup"); !slices.Equal(types, []string{"store.restored"}) {
				t.Errorf("events of the restore: %v", types)
			}

			f2 := newFleet2(t, h)
			cred, err := devices.ParseCredential(box.cred, caKey(f2), h.clock.Now())
			must(t, err)
			if cred.DeviceID != box.id {
				t.Errorf("the credential is %s's", cred.DeviceID)
			}
			back, err := h.store.ConnectLinks(t.Context(), devices.NodeID{Name: testNode, Inc: 2}, []devices.LinkUp{box.up(f2)})
			must(t, err)
			if back[0].Refused != "" || back[0].Epoch < up[0].Epoch+1000 {
				t.Errorf("the terminal: %+v, epoch %d before", back[0], up[0].Epoch)
			}
			in, err := f2.people.SignIn(t.Context(), people.SignInRequest{Login: "bing", Password: password, Addr: "192.0.2.1"})
			if must(t, err); in.Staff.ID != staff.ID {
				t.Errorf("signed in as %s", in.Staff.ID)
			}
			_, _, err = f2.people.Authenticate(t.Context(), cookie.Token)
			wantCode(t, "a sign-in from before the backup", err, "auth.required")
			later, ok, err := h.store.AcquireLease(t.Context(), "node/"+testNode, testNode, time.Minute, h.clock.Now())
			must(t, err)
			if !ok || later < epoch+1000 {
				t.Errorf("the node's lease: %d, %t; %d before", later, ok, epoch)
			}
		})
	}
}

// newFleet2 is the fleet of a house that was filled elsewhere.
func newFleet2(t *testing.T, h *house) *fleet {
	t.Helper()
	units, err := h.store.Units(t.Context())
	must(t, err)
	f := &fleet{store: h.store, clock: h.clock}
	f.serve(t, units)
	return f
}

// sameRows compares two databases, of which the second was restored from the first.
func sameRows(t *testing.T, before, after map[string][]map[string]any) {
	t.Helper()
	const jump = int64(1 << 20)
	for _, row := range before["lease"] {
		row["owner"], row["expires_at"], row["epoch"] = "", int64(0), row["epoch"].(int64)+jump
	}
	for _, row := range before["device_link"] {
		row["epoch"] = row["epoch"].(int64) + jump
	}
	for _, row := range before["room_placement"] {
		row["fence"] = row["fence"].(int64) + jump
	}
	for _, row := range after["login_session"] {
		if row["revoked_at"] == int64(0) {
			t.Error("a sign-in lives")
		}
		row["revoked_at"] = int64(0)
	}
	after["event"] = slices.DeleteFunc(after["event"], func(row map[string]any) bool { return row["type"] == "store.restored" })
	if d := cmp.Diff(before, after); d != "" {
		t.Error(d)
	}
	for _, table := range []string{"key", "event", "dispute", "agreement", "document", "blob", "handoff", "session", "ticket", "credential", "login_session", "device_link", "notice_out"} {
		if len(after[table]) == 0 {
			t.Errorf("nothing was in %s: the comparison says little", table)
		}
	}
}

// counts writes in one command a counter, a row and an event each, from many callers, until ctx ends.
func counts(ctx context.Context, t *testing.T, s *store.Store, callers int) *sync.WaitGroup {
	t.Helper()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				err := s.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
					var n int64
					err := tx.One(`INSERT INTO ticket_counter (unit_id, day, letter, last) VALUES ('u', 'd', 'A', 1)
						ON CONFLICT (unit_id, day, letter) DO UPDATE SET last = ticket_counter.last + 1 RETURNING last`, nil, &n)
					if err != nil {
						return err
					}
					if _, err := tx.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ($1, $2)`, fmt.Sprintf("%d-%d", i, j), n); err != nil {
						return err
					}
					return tx.Event(audit.Event{Aggregate: "test", ID: "counter", Type: "test.counted", Data: map[string]string{"n": strconv.FormatInt(n, 10)}})
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return &wg
}

// A backup that is taken under load is one instant: the counter, the rows and the chain of events agree.
func TestBackupUnderLoadIsOneInstant(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		s := storetest.Open(t, c)
		ctx, stop := context.WithCancel(t.Context())
		wg := counts(ctx, t, s, 8)
		last := int64(0)
		for last < 500 {
			text, _ := save(t, c)
			rows := content(t, text)
			if len(rows["ticket_counter"]) == 0 {
				continue
			}
			n := rows["ticket_counter"][0]["last"].(int64)
			if n < last || int64(len(rows["spent_token"])) != n {
				t.Errorf("counter %d (%d before), %d rows", n, last, len(rows["spent_token"]))
				break
			}
			chain := slices.DeleteFunc(rows["event"], func(r map[string]any) bool { return r["agg_id"] != "counter" })
			if int64(len(chain)) != n || chain[len(chain)-1]["seq"] != n {
				t.Errorf("counter %d, %d events", n, len(chain))
				break
			}
			last = n
		}
		stop()
		wg.Wait()
	})
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	for name, place := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := place.from(t)
			s := storetest.Open(t, from)
			must(t, s.SpendToken(t.Context(), "one", farFuture, time.Now()))
			text, _ := save(t, from)
			to := place.to(t)

			refused := func(what string, c store.Config, b []byte, code string) {
				t.Helper()
				_, err := restore(t.Context(), c, bytes.NewReader(b))
				wantCode(t, what, err, code)
			}
			refused("a database that is in use", from, text, "restore.not_empty")
			other := to
			other.MasterKey = []byte("another master key, of 32 bytes.")
			refused("another master key", other, text, "restore.master_key")
			refused("no archive", to, []byte("PK\x03\x04 something else"), "backup.damaged")
			refused("an empty file", to, nil, "backup.damaged")
			for i := range 8 { // store/archive tries every byte
				at := (len(text) - 1) * i / 7
				b := bytes.Clone(text)
				b[at] ^= 0x20
				refused(fmt.Sprintf("byte %d of %d changed", at, len(b)), to, b, "backup.damaged")
				refused(fmt.Sprintf("cut off at %d of %d", at, len(b)), to, text[:at], "backup.damaged")
			}
			refused("a newer program's", to, edited(t, text, func(h *archive.Head) {
				h.Version = "v99"
				h.Migrations = append(h.Migrations, archive.Migration{Version: 9999, Name: "9999_late.sql", SHA256: "x"})
			}), "restore.newer")
			refused("another program's", to, edited(t, text, func(h *archive.Head) { h.Migrations[0].SHA256 = "x" }), "restore.foreign")
			refused("one with another table", to, edited(t, text, func(h *archive.Head) { h.Tables[3].Columns[1].Name += "x" }), "restore.foreign")

			if _, err := restore(t.Context(), to, bytes.NewReader(text)); err != nil { // the place is as empty as before
				t.Fatal(err)
			}
			err := storetest.Open(t, to).SpendToken(t.Context(), "one", farFuture, time.Now())
			wantCode(t, "what was spent before the backup", err, "token.spent")
		})
	}
}

// edited writes an archive anew under another head.
func edited(t *testing.T, text []byte, change func(h *archive.Head)) []byte {
	t.Helper()
	r, err := archive.NewReader(bytes.NewReader(text))
	must(t, err)
	h := r.Head()
	change(&h)
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, h)
	must(t, err)
	_, err = r.Read(archive.Visitor{Row: func(table archive.Table, values []any) error { return w.Row(table.Name, values) }})
	must(t, err)
	_, err = w.Close()
	must(t, err)
	return b.Bytes()
}

func TestNothingToSave(t *testing.T) {
	t.Parallel()
	lite := storetest.SQLiteConfig(t)
	for name, c := range map[string]store.Config{"no file": lite, "no tables": storetest.EmptyPostgresConfig(t)} {
		_, _, err := store.Backup(t.Context(), c, io.Discard, store.BackupOptions{})
		wantCode(t, name, err, "backup.no_database")
	}
	if _, err := os.Stat(lite.DSN); err == nil {
		t.Error("asking made a database")
	}
}

// An older backup goes into this program: its own migrations run first, the later ones when the store opens.
func TestBackupOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	for name, place := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(name, "postgres") {
				place.from = storetest.EmptyPostgresConfig
			}
			c := place.from(t)
			must(t, store.MigrateWith(t.Context(), c, firstFiles(t, 3)))
			db := store.OpenBare(t, c)
			_, err := db.ExecContext(t.Context(), `INSERT INTO spent_token (jti, expires_at) VALUES ('old', 1)`)
			must(t, err)
			var b bytes.Buffer
			head, _, err := store.Backup(t.Context(), c, &b, store.BackupOptions{Version: "v0"})
			must(t, err)
			if len(head.Migrations) != 3 {
				t.Fatalf("%d migrations", len(head.Migrations))
			}
			to := place.to(t)
			_, err = restore(t.Context(), to, &b)
			must(t, err)
			s := storetest.Open(t, to)
			var n int
			must(t, s.One(t.Context(), `SELECT count(*) FROM spent_token WHERE jti = 'old'`, nil, &n))
			if len(migrationsRan(t, s)) <= 3 || n != 1 {
				t.Errorf("%d migrations, %d rows", len(migrationsRan(t, s)), n)
			}
		})
	}
}

// restoreEnv makes this test binary restore what comes from its standard input: "driver dsn".
const restoreEnv = "HEYI_STORE_TEST_RESTORE"

func restoreChild(text string) int {
	driver, dsn, _ := strings.Cut(text, " ")
	c := store.Config{Driver: driver, DSN: dsn, MasterKey: []byte("a master key for tests, 32 bytes"), Now: time.Now}
	if _, err := restore(context.Background(), c, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A restore whose process dies in the middle leaves an empty place, into which the next one goes.
func TestKilledRestoreLeavesAnEmptyPlace(t *testing.T) {
	t.Parallel()
	from := storetest.SQLiteConfig(t)
	s := storetest.Open(t, from)
	for range 4 { // rows of the last table in the archive, too many for a pipe and a page cache
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			for range 500 {
				if _, err := tx.Exec(`INSERT INTO spent_token (jti, expires_at) VALUES ($1, 1)`, strings.Repeat(ident.New[string](), 100)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	text, _ := save(t, from)
	for name, target := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.EmptyPostgresConfig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := target(t)
			cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary itself
			cmd.Env = append(os.Environ(), restoreEnv+"="+to.Driver+" "+to.DSN)
			stdin, err := cmd.StdinPipe()
			must(t, err)
			must(t, cmd.Start())
			_, err = stdin.Write(text[:len(text)-4096]) // returns when all but a pipe's fill is loaded
			must(t, err)
			must(t, cmd.Process.Kill())
			if cmd.Wait() == nil {
				t.Fatal("it ended by itself")
			}
			_, err = restore(t.Context(), to, bytes.NewReader(text))
			must(t, err)
			var n int
			must(t, storetest.Open(t, to).One(t.Context(), `SELECT count(*) FROM spent_token`, nil, &n))
			if n != 2000 {
				t.Errorf("%d rows", n)
			}
		})
	}
}
