package storetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissingPostgresNamesItsPackage(t *testing.T) {
	_, err := binaries(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("err = %v, want it to say what to install", err)
	}
}

func TestNewestPostgresIsTaken(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9.6", "15", "9", "17"} {
		bin := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "initdb"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := binaries(root); err != nil || got != filepath.Join(root, "17", "bin") {
		t.Errorf("got %s, err = %v; want version 17", got, err)
	}
}
