package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"heyi/internal/ident"
)

// masterKeyFile is the master key of a single node, in its data folder.
const masterKeyFile = "master.key"

// masterKeySize is the length of HEYI_MASTER_KEY in bytes (AES-256).
const masterKeySize = 32

// lockData makes the data folder (0700) and takes its lock, so that two processes never share one embedded database
// and one node name. The returned func gives the lock back.
func lockData(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator's own folder
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another heyi runs on %s: stop it, or choose another folder with --data", dir)
	}
	return func() { _ = f.Close() }, nil
}

// folderID names the data folder: a random word in <dir>/node.id, made the first time. Two processes with one name and
// different folders are two nodes, and the second is refused.
func folderID(dir string) (string, error) {
	path := filepath.Join(dir, "node.id")
	b, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("data folder: %w", err)
	}
	id := ident.New[string]()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return id, nil
}

// masterKey returns the key that wraps every other key: HEYI_MASTER_KEY (base64, 32 bytes), else <dir>/master.key,
// which is made with mode 0600 the first time. With PostgreSQL the variable is mandatory: several nodes share rows.
func masterKey(dir, driver string) ([]byte, error) {
	if v := os.Getenv("HEYI_MASTER_KEY"); v != "" {
		return decodeKey(v, "HEYI_MASTER_KEY")
	}
	if driver != "sqlite" {
		return nil, errors.New("HEYI_MASTER_KEY is not set: several nodes may share this database, so give all of them the same key (openssl rand -base64 32)")
	}
	path := filepath.Join(dir, masterKeyFile)
	b, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	if err == nil {
		return decodeKey(strings.TrimSpace(string(b)), path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key := make([]byte, masterKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}

// knownMasterKey returns HEYI_MASTER_KEY or the first of the files that is there; it makes no new one.
func knownMasterKey(files ...string) ([]byte, error) {
	if v := os.Getenv("HEYI_MASTER_KEY"); v != "" {
		return decodeKey(v, "HEYI_MASTER_KEY")
	}
	for _, path := range files {
		b, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
		if err == nil {
			return decodeKey(strings.TrimSpace(string(b)), path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("master key: %w", err)
		}
	}
	return nil, fmt.Errorf("the master key of the saved node is needed, which a backup does not hold: set HEYI_MASTER_KEY, or put its master.key at %s", files[0])
}

func decodeKey(text, where string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != masterKeySize {
		return nil, fmt.Errorf("%s: want %d bytes in base64 (openssl rand -base64 32)", where, masterKeySize)
	}
	return key, nil
}
