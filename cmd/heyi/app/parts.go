package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/configs"
	"heyi/gateway/auth"
	"heyi/internal/coord"
	"heyi/internal/org"
	"heyi/internal/sign"
	"heyi/people"
	"heyi/store"
)

// parts is the ground that every command of the program stands on: database, tree of units, keys, accounts.
type parts struct {
	cfg    configs.Config
	logger *slog.Logger
	store  *store.Store
	coord  engine
	loose  coord.Limiter                   // for callers that limit load; guards of secrets use coord
	carry  func(ctx context.Context) error // brings nudges to the other nodes, nil on a single one
	part   func() error                    // ends coord
	tree   *org.Tree
	keys   *auth.Keyring
	people *people.Service

	metrics *prometheus.Registry
}

// Migrate brings the database up to date and stops.
func Migrate(ctx context.Context, cfg configs.Config) error {
	unlock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	return migrate(ctx, cfg)
}

func migrate(ctx context.Context, cfg configs.Config) error {
	s, err := openStore(ctx, cfg, newLogger(cfg))
	if err != nil {
		return err
	}
	return closed(s)
}

func closed(s *store.Store) error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

func newLogger(cfg configs.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opt))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opt))
}

func openStore(ctx context.Context, cfg configs.Config, logger *slog.Logger) (*store.Store, error) {
	key, err := masterKey(cfg.Data, cfg.Store.Driver)
	if err != nil {
		return nil, err
	}
	c := storeConfig(cfg, logger)
	c.MasterKey = key
	s, err := store.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return s, nil
}

// storeConfig is the database of the configuration, without the master key.
func storeConfig(cfg configs.Config, logger *slog.Logger) store.Config {
	dsn := cfg.Store.DSN
	if dsn == "" {
		dsn = filepath.Join(cfg.Data, "heyi.db")
	}
	return store.Config{
		Driver: cfg.Store.Driver, DSN: dsn, Readers: cfg.Store.Readers, BatchMax: cfg.Store.BatchMax,
		SealAlg: sign.Alg(cfg.Handoff.Seal), Now: time.Now, Logger: logger,
	}
}

// openParts opens the database and loads what lies in it. The demo's tree is made when it is missing.
func openParts(ctx context.Context, cfg configs.Config) (*parts, error) {
	p := &parts{cfg: cfg, logger: newLogger(cfg), metrics: prometheus.NewRegistry()}
	var err error
	if p.coord, p.loose, p.carry, p.part, err = coordination(cfg.Coord, p.metrics, p.logger); err != nil {
		return nil, err
	}
	if p.store, err = openStore(ctx, cfg, p.logger); err != nil {
		return nil, errors.Join(err, p.part())
	}
	if err := p.fill(ctx); err != nil {
		return nil, errors.Join(err, closed(p.store), p.part())
	}
	return p, nil
}

func (p *parts) fill(ctx context.Context) error {
	if p.cfg.Demo {
		seeds, err := org.Chifeng()
		if err != nil {
			return fmt.Errorf("demo tree: %w", err)
		}
		if _, err := p.store.SeedUnits(ctx, seeds); err != nil {
			return fmt.Errorf("demo tree: %w", err)
		}
	}
	units, err := p.store.Units(ctx)
	if err != nil {
		return fmt.Errorf("units: %w", err)
	}
	if p.tree, err = org.NewTree(units); err != nil {
		return fmt.Errorf("units: %w", err)
	}
	if p.keys, err = auth.NewKeyring(ctx, p.loadKeys, time.Now); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	c := p.cfg.People
	p.people = people.NewService(people.Config{
		RequireTOTP: c.RequireTOTP && !p.cfg.Demo,
		Cost:        people.Argon2{MemoryKiB: uint32(c.Argon2MiB) << 10, Passes: uint32(c.Argon2Time), Lanes: 1},
		Absolute:    c.SessionMax, Idle: c.SessionIdle, WrongLogin: c.WrongMax, WrongAddr: c.AddressMax, Window: c.WrongWindow,
	}, people.Deps{Store: p.store, Limiter: p.coord, Now: time.Now})
	return nil
}

// loadKeys implements auth.KeySource: asking for the active key makes it the first time.
func (p *parts) loadKeys(ctx context.Context, purpose string) ([]auth.Key, error) {
	if _, err := p.store.Key(ctx, purpose); err != nil {
		return nil, err //nolint:wrapcheck // the keyring names the purpose
	}
	list, err := p.store.Keys(ctx, purpose)
	if err != nil {
		return nil, err //nolint:wrapcheck // the keyring names the purpose
	}
	out := make([]auth.Key, 0, len(list))
	for _, k := range list {
		if k.Alg == store.AlgEdDSA && len(k.Secret) == ed25519.SeedSize {
			out = append(out, auth.Key{KID: k.KID, Seed: k.Secret, Public: k.Public, Active: k.Active})
		}
	}
	return out, nil
}

// hmacKey returns the key of CSRF tokens and capture secrets.
func (p *parts) hmacKey(ctx context.Context) ([]byte, error) {
	k, err := p.store.Key(ctx, store.KeyHMAC)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return k.Secret, nil
}

func (p *parts) close() {
	if err := p.store.Close(); err != nil {
		p.logger.Error("close the database", slog.Any("error", err))
	}
	if err := p.part(); err != nil {
		p.logger.Error("close coordination", slog.Any("error", err))
	}
}
