package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// nextMigration is the file of the next release's migration (buildNext).
const nextMigration = "store/migrations/9999_next.additive.sql"

// buildNext builds the program as its next release: one more migration, of the kind that may run while the former
// release still serves (docs/operations.md, upgrade).
func buildNext(ctx context.Context, pkg, out string) error {
	path, err := filepath.Abs(nextMigration)
	if err != nil {
		return fmt.Errorf("next: %w", err)
	}
	return buildChanged(ctx, map[string]string{
		path: "CREATE TABLE next_release (id TEXT PRIMARY KEY);\nALTER TABLE ticket ADD COLUMN next_release BIGINT NOT NULL DEFAULT 0;\nCREATE INDEX ticket_next ON ticket (next_release);\n",
	}, pkg, out, "-ldflags", "-X heyi/cmd/heyi/app.Version=next")
}

// buildChanged builds a program with some source files replaced or added: path to text.
func buildChanged(ctx context.Context, files map[string]string, pkg, out string, args ...string) (err error) {
	tmp, err := os.MkdirTemp("", "heyi-build-")
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	replace := map[string]string{}
	for path, text := range files {
		replace[path] = filepath.Join(tmp, strconv.Itoa(len(replace))+filepath.Ext(path))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	overlay := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	args = append(append([]string{"build", "-trimpath", "-overlay", overlay}, args...), "-o", out, pkg)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own words
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}
