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
	"heyi/internal/clock"
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

	now   func() time.Time // the one clock of everything
	clock *clock.Clock     // of the database; nil: this machine's
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
	s, err := openStore(ctx, cfg, time.Now, newLogger(cfg), nil)
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

func openStore(ctx context.Context, cfg configs.Config, now func() time.Time, logger *slog.Logger, reg prometheus.Registerer) (*store.Store, error) {
	key, err := masterKey(cfg.Data, cfg.Store.Driver)
	if err != nil {
		return nil, err
	}
	c := storeConfig(cfg, logger)
	c.MasterKey, c.Metrics, c.Now = key, reg, now
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
	p.oneClock()
	if p.store, err = openStore(ctx, cfg, p.now, p.logger, p.metrics); err != nil {
		return nil, errors.Join(err, p.part())
	}
	if err := p.sync(ctx); err != nil {
		return nil, errors.Join(err, closed(p.store), p.part())
	}
	if err := p.fill(ctx); err != nil {
		return nil, errors.Join(err, closed(p.store), p.part())
	}
	return p, nil
}

// oneClock chooses the clock: this machine's beside an embedded database; else the database's, so that nodes agree on it
// though one of them be wrong.
func (p *parts) oneClock() {
	p.now = time.Now
	if p.cfg.Store.Driver != store.Postgres {
		return
	}
	off := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "heyi", Name: "clock_offset_seconds", Help: "By how much this machine's clock is ahead of the database's, which is the one that counts.",
	})
	p.metrics.MustRegister(off)
	p.clock = clock.New(clock.Config{Every: p.cfg.Store.ClockEvery}, clock.Deps{
		Own: time.Now, Logger: p.logger, Told: func(d time.Duration) { off.Set(d.Seconds()) },
		Ask: func(ctx context.Context) (time.Time, error) { return p.store.Clock(ctx) },
	})
	p.now = p.clock.Now
}

// sync asks for the time before anything depends on it.
func (p *parts) sync(ctx context.Context) error {
	if p.clock == nil {
		return nil
	}
	if err := p.clock.Sync(ctx); err != nil {
		return fmt.Errorf("the database's clock: %w", err)
	}
	return nil
}

// runClock keeps the clock right.
func (p *parts) runClock(ctx context.Context) error {
	if p.clock == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.clock.Run(ctx) //nolint:wrapcheck // ends with its context
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
	if p.keys, err = auth.NewKeyring(ctx, p.loadKeys, p.now); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	c := p.cfg.People
	p.people = people.NewService(people.Config{
		RequireTOTP: c.RequireTOTP && !p.cfg.Demo,
		Cost:        people.Argon2{MemoryKiB: uint32(c.Argon2MiB) << 10, Passes: uint32(c.Argon2Time), Lanes: 1},
		Absolute:    c.SessionMax, Idle: c.SessionIdle, WrongLogin: c.WrongMax, WrongAddr: c.AddressMax, Window: c.WrongWindow,
	}, people.Deps{Store: p.store, Limiter: p.coord, Now: p.now})
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
