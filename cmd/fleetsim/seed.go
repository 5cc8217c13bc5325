package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"heyi/internal/org"
	"heyi/store"
)

// seedConfig says which database gets a made-up fleet.
type seedConfig struct {
	Data   string // data folder of a node that is not running
	Driver string
	DSN    string
	Size   int
	Seed   uint64
}

// runSeed fills the database of a stopped node with made-up devices, for benches and tests of scale.
func runSeed(ctx context.Context, c seedConfig, logger *slog.Logger) (err error) {
	// The node's own key, never a new one: the database is the node's, and opening it makes keys that it must read.
	text := os.Getenv("HEYI_MASTER_KEY")
	if text == "" {
		b, err := os.ReadFile(filepath.Join(c.Data, "master.key")) //nolint:gosec // named by the caller
		if err != nil {
			return fmt.Errorf("seed: start the node once, so that it makes its key: %w", err)
		}
		text = strings.TrimSpace(string(b))
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("seed: the master key is no base64: %w", err)
	}
	if c.DSN == "" {
		c.DSN = filepath.Join(c.Data, "heyi.db")
	}
	s, err := store.Open(ctx, store.Config{Driver: c.Driver, DSN: c.DSN, MasterKey: key, Now: time.Now, Logger: logger})
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	start := time.Now()
	seeds, err := org.ChifengWhole()
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if _, err := s.SeedUnits(ctx, seeds); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if err := s.SampleFleet(ctx, store.Sample{Size: c.Size, Seed: c.Seed, Now: time.Now()}); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	logger.InfoContext(ctx, "a made-up fleet", slog.Int("devices", c.Size), slog.Int("units", len(seeds)), slog.Duration("took", time.Since(start)))
	return nil
}
