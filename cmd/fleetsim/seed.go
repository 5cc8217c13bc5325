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

	"heyi/devices"
	"heyi/internal/ident"
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

// open opens the database of a data folder with the node's own key, never a new one: opening it makes keys that the node
// must read.
func (c seedConfig) open(ctx context.Context, logger *slog.Logger) (*store.Store, error) {
	text := os.Getenv("HEYI_MASTER_KEY")
	if text == "" {
		b, err := os.ReadFile(filepath.Join(c.Data, "master.key"))
		if err != nil {
			return nil, fmt.Errorf("start the node once, so that it makes its key: %w", err)
		}
		text = strings.TrimSpace(string(b))
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the master key is no base64: %w", err)
	}
	if c.DSN == "" {
		c.DSN = filepath.Join(c.Data, "heyi.db")
	}
	s, err := store.Open(ctx, store.Config{Driver: c.Driver, DSN: c.DSN, MasterKey: key, Now: time.Now, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return s, nil
}

// runSeed fills the database of a stopped node with made-up devices, for benches and tests of scale.
func runSeed(ctx context.Context, c seedConfig, logger *slog.Logger) (err error) {
	s, err := c.open(ctx, logger)
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

// churnTick is how often made-up links change.
const churnTick = 100 * time.Millisecond

// runChurn lets links of a made-up fleet go and come back, so many changes a second, beside the node that serves its
// database; it ends with ctx or after a while.
func runChurn(ctx context.Context, c seedConfig, rate int, span time.Duration, logger *slog.Logger) (err error) {
	s, err := c.open(ctx, logger)
	if err != nil {
		return fmt.Errorf("churn: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	node := devices.NodeID{Name: store.SampleNode, Inc: 1}
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	tick := time.NewTicker(churnTick)
	defer tick.Stop()
	each := max(1, rate*int(churnTick)/int(2*time.Second))
	var (
		gone  []devices.Fallen
		after ident.DeviceID
		did   int
	)
	for {
		select {
		case <-ctx.Done():
			logger.InfoContext(context.WithoutCancel(ctx), "churned", slog.Int("changes", did))
			return nil
		case <-tick.C:
		}
		back := make([]devices.LinkUp, 0, len(gone))
		for _, g := range gone {
			back = append(back, devices.LinkUp{Device: g.Device, AppVer: "2.4.2", Engine: "Chrome/108.0", At: time.Now().UnixMicro()})
		}
		if len(back) > 0 {
			if _, err := s.ConnectLinks(ctx, node, back); err != nil && ctx.Err() == nil {
				return fmt.Errorf("churn: %w", err)
			}
		}
		live, err := s.LinksOf(ctx, node, after, each)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("churn: %w", err)
		}
		gone, after = gone[:0], ""
		for _, l := range live {
			now := time.Now()
			gone = append(gone, devices.Fallen{
				LinkDown: devices.LinkDown{Device: l.Device, Epoch: l.Epoch, Cause: "network", At: now.UnixMicro()}, Until: now.Add(time.Minute).UnixMicro(),
			})
			after = l.Device
		}
		if _, err := s.DropLinks(ctx, node, gone); err != nil && ctx.Err() == nil {
			return fmt.Errorf("churn: %w", err)
		}
		did += len(back) + len(gone)
	}
}
