package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heyi/cmd/heyi/app"
	"heyi/configs"
	"heyi/store"
	"heyi/store/storetest"
)

// admin runs one administrative command and returns what it printed.
func admin(t *testing.T, cfg configs.Config, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := app.Admin(t.Context(), cfg, args, &out)
	return out.String(), err
}

// ownKey lets nodes make their own master key, as those on the embedded database do; the other tests share one. It keeps
// the test from running beside others.
func ownKey(t *testing.T) {
	t.Helper()
	t.Setenv("HEYI_MASTER_KEY", "")
}

// lived is a node that is in use, and the terminal that waits there.
func lived(t *testing.T, cfg configs.Config) (*node, *terminal, string) {
	t.Helper()
	n := start(t, cfg)
	d := n.claim()
	d.connect()
	return n, d, d.waits()
}

// goesOn demands that everybody of the saved node is at home in the restored one.
func goesOn(t *testing.T, cfg configs.Config, demo demoFile, d *terminal, no string) {
	t.Helper()
	d.n = start(t, cfg)
	for _, s := range demo.Staff {
		a := d.n.call(http.MethodPost, d.n.url+"/api/v1/staff/login", nil, map[string]string{"login": s.Login, "password": s.Password})
		if a.status != http.StatusOK {
			t.Errorf("%s signs in: %d %s", s.Login, a.status, a.code())
		}
	}
	old := d.access
	if a := d.do(http.MethodGet, "/situation", nil); a.status != http.StatusUnauthorized {
		t.Errorf("a token from before the backup: %d", a.status)
	}
	d.connect()
	var s struct {
		Ticket *struct{ No, State string }
	}
	a := d.do(http.MethodGet, "/situation", nil)
	if a.into(t, &s); s.Ticket == nil || s.Ticket.No != no || s.Ticket.State != "waiting" || d.access == old {
		t.Errorf("the terminal sees %s, want %s waiting", a.body, no)
	}
}

func TestBackupOfARunningNodeAndItsRestore(t *testing.T) {
	ownKey(t)
	n, d, no := lived(t, demoConfig(t))
	demo := n.demo()
	dir := t.TempDir()
	file := filepath.Join(dir, "heyi.tar")
	out, err := admin(t, n.cfg, "backup", file)
	if err != nil || !strings.Contains(out, "The master key is not in it") {
		t.Fatalf("backup: %v, %s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	var note struct{ At, Size int64 }
	if b, err := os.ReadFile(filepath.Join(n.cfg.Data, "last-backup.json")); err != nil || json.Unmarshal(b, &note) != nil || note.At == 0 || note.Size == 0 {
		t.Errorf("the note of it: %s, %v", b, err)
	}
	if _, err := admin(t, n.cfg, "backup", file); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("over an old backup: %v", err)
	}
	if out, err := admin(t, n.cfg, "restore", "-check", file); err != nil || !strings.HasPrefix(out, "whole: ") {
		t.Errorf("check: %v, %s", err, out)
	}
	text, err := os.ReadFile(file) //nolint:gosec // our own file
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	broken := filepath.Join(dir, "broken.tar")
	if err := os.WriteFile(broken, text, 0o600); err != nil { //nolint:gosec // our own folder
		t.Fatal(err)
	}
	if _, err := admin(t, n.cfg, "restore", "-check", broken); err == nil || !strings.Contains(err.Error(), "backup.damaged") {
		t.Errorf("check of a damaged one: %v", err)
	}
	if _, err := admin(t, n.cfg, "restore", file); err == nil || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("restore into a running node: %v", err)
	}
	n.stop()
	if _, err := admin(t, n.cfg, "restore", file); err == nil || !strings.Contains(err.Error(), "restore.not_empty") {
		t.Errorf("restore over what is there: %v", err)
	}

	cfg := demoConfig(t)
	if _, err := admin(t, cfg, "restore", file); err == nil || !strings.Contains(err.Error(), "master.key") {
		t.Errorf("restore without the master key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, "master.key")); err == nil {
		t.Error("it made a key of its own")
	}
	copyFile(t, n.cfg, cfg, "master.key")
	copyFile(t, n.cfg, cfg, "demo.json")
	if out, err := admin(t, cfg, "restore", file); err != nil || !strings.Contains(out, "chains of events verified") || strings.Contains(out, "WARNING") {
		t.Fatalf("restore: %v, %s", err, out)
	}
	goesOn(t, cfg, demo, d, no)
}

// A backup may carry files of the data folder, the master key among them, when it is told to.
func TestBackupWithFiles(t *testing.T) {
	ownKey(t)
	n, d, no := lived(t, demoConfig(t))
	demo := n.demo()
	for _, wrong := range []string{"../x", "heyi.db", "lock", "no-such-file", "/etc/passwd"} {
		if _, err := admin(t, n.cfg, "backup", "-with", wrong, filepath.Join(t.TempDir(), "x.tar")); err == nil {
			t.Errorf("-with %s was taken", wrong)
		}
	}
	if err := os.MkdirAll(filepath.Join(n.cfg.Data, "texts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.cfg.Data, "texts", "2000-01-01.jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "heyi.tar")
	if out, err := admin(t, n.cfg, "backup", "-with", "master.key, demo.json, texts", file); err != nil || !strings.Contains(out, "master.key is in it") {
		t.Fatalf("backup: %v, %s", err, out)
	}
	n.stop()
	cfg := demoConfig(t)
	if _, err := admin(t, cfg, "restore", file); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(cfg.Data, "texts", "2000-01-01.jsonl")); err != nil || string(b) != "{}\n" {
		t.Errorf("texts: %q, %v", b, err)
	}
	goesOn(t, cfg, demo, d, no)
}

// The way from one node to a cluster: a backup of the embedded database goes into PostgreSQL.
func TestFromOneNodeToPostgreSQL(t *testing.T) {
	ownKey(t)
	n, d, no := lived(t, demoConfig(t))
	demo := n.demo()
	key, err := os.ReadFile(filepath.Join(n.cfg.Data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := app.Admin(t.Context(), n.cfg, []string{"backup", "-"}, &text); err != nil {
		t.Fatal(err)
	}
	n.stop()
	file := filepath.Join(t.TempDir(), "heyi.tar")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := demoConfig(t)
	cfg.Store.Driver, cfg.Store.DSN = store.Postgres, storetest.EmptyPostgresConfig(t).DSN
	if _, err := admin(t, cfg, "restore", file); err == nil || !strings.Contains(err.Error(), "HEYI_MASTER_KEY") {
		t.Errorf("restore without the master key: %v", err)
	}
	t.Setenv("HEYI_MASTER_KEY", strings.TrimSpace(string(key)))
	if out, err := admin(t, cfg, "restore", file); err != nil {
		t.Fatalf("restore: %v, %s", err, out)
	}
	copyFile(t, n.cfg, cfg, "demo.json")
	goesOn(t, cfg, demo, d, no)
}

func copyFile(t *testing.T, from, to configs.Config, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from.Data, name)) //nolint:gosec // our own folder
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to.Data, name), b, 0o600); err != nil { //nolint:gosec // our own folder
		t.Fatal(err)
	}
}
