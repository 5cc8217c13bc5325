package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"heyi/devices"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/mediation"
	"heyi/store"
	"heyi/store/storetest"
)

// sampleSize is the fleet that the design promises answers for; HEYI_BENCH_DEVICES asks for another one.
func sampleSize(tb testing.TB) int {
	tb.Helper()
	if v := os.Getenv("HEYI_BENCH_DEVICES"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	return 100_000
}

// sampleFleet fills a store with the whole tree and so many devices.
func sampleFleet(tb testing.TB, s *store.Store, size int, now time.Time) (devices.Scope, *org.Tree) {
	tb.Helper()
	seeds, err := org.ChifengWhole()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.SeedUnits(tb.Context(), seeds); err != nil {
		tb.Fatal(err)
	}
	if err := s.SampleFleet(tb.Context(), store.Sample{Size: size, Seed: 7, Now: now}); err != nil {
		tb.Fatal(err)
	}
	units, err := s.Units(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tree, err := org.NewTree(units)
	if err != nil {
		tb.Fatal(err)
	}
	city, _ := tree.ByCode("150400000000")
	return devices.Scope{Unit: city.ID, Actor: mediation.Actor{Kind: mediation.ActorSystem, ID: "bench"}}, tree
}

// BenchmarkFleet asks a fleet of 100,000 what the console asks, and prints the median and the 95th percentile in
// milliseconds: first pages and windows anywhere in the list under every filter, with their counts, the tree's
// roll-up, a live window, and beside them what a connect of 200 devices costs with all of it kept true.
func BenchmarkFleet(b *testing.B) {
	for driver, config := range map[string]func(testing.TB) store.Config{
		store.SQLite: storetest.SQLiteConfig, store.Postgres: storetest.PostgresConfig,
	} {
		b.Run(driver, func(b *testing.B) {
			s := storetest.Open(b, config(b))
			now, size := time.Now(), sampleSize(b)
			start := time.Now()
			sc, tree := sampleFleet(b, s, size, now)
			b.Logf("%d devices in %.1f s", size, time.Since(start).Seconds())
			county, _ := tree.ByCode("150430000000")
			village, _ := tree.ByCode("150430206201")
			filters := map[string]devices.Filter{
				"all": {}, "county": {Unit: county.ID}, "village": {Unit: village.ID}, "chip_online": {Chip: devices.ChipOnline},
				"chip_offline": {Chip: devices.ChipOffline}, "chip_quarantined": {Chip: devices.ChipQuarantined}, "kind": {Kind: devices.Kiosk},
				"class": {Class: devices.Work}, "tier": {Tier: devices.TierD}, "model": {Model: "fleetsim-K32"}, "serial_prefix": {Q: "K1-0"}, "name_prefix": {Q: "第一村 村委会"},
				"nothing": {Q: "没有这样的名字"}, "county_chip_tier": {Unit: county.ID, Chip: devices.ChipOffline, Tier: devices.TierC},
				"sort_serial": {Order: devices.BySerial}, "sort_since": {Order: devices.BySince, Desc: true}, "sort_chip": {Order: devices.ByChip}, "sort_model": {Order: devices.ByModel},
			}
			var all []float64
			for _, name := range slices.Sorted(keys(filters)) {
				f := filters[name]
				b.Run("filter_"+name, func(b *testing.B) {
					took := timed(b, func(ctx context.Context, _ int) error {
						f.Limit = 200
						if _, err := s.DeviceRows(ctx, sc, f); err != nil {
							return err
						}
						_, err := s.Tally(ctx, sc, f)
						return err
					})
					all = append(all, took...)
				})
			}
			b.Run("any_filter", func(b *testing.B) { report(b, all) })
			b.Run("window_anywhere", func(b *testing.B) {
				rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a bench
				report(b, timed(b, func(ctx context.Context, _ int) error {
					_, err := s.DeviceRows(ctx, sc, devices.Filter{Limit: 200, Offset: rng.IntN(size)})
					return err
				}))
			})
			first, err := s.DeviceRows(b.Context(), sc, devices.Filter{Limit: 200})
			if err != nil {
				b.Fatal(err)
			}
			b.Run("window_next", func(b *testing.B) {
				next := first.Next
				timed(b, func(ctx context.Context, _ int) error {
					page, err := s.DeviceRows(ctx, sc, devices.Filter{Limit: 200, Cursor: next})
					next = page.Next
					return err
				})
			})
			b.Run("live_window", func(b *testing.B) {
				ids := make([]ident.DeviceID, 0, 200)
				for _, r := range first.Rows {
					ids = append(ids, r.ID)
				}
				timed(b, func(ctx context.Context, _ int) error {
					_, err := s.DevicesByID(ctx, sc, ids)
					return err
				})
			})
			b.Run("window_days", func(b *testing.B) {
				history := devices.NewHistory(s, time.Now)
				timed(b, func(ctx context.Context, _ int) error {
					_, err := history.Days(ctx, sc, first.Rows)
					return err
				})
			})
			b.Run("roll_up", func(b *testing.B) {
				timed(b, func(ctx context.Context, _ int) error {
					_, err := s.CountUnits(ctx, sc)
					return err
				})
			})
			b.Run("recount", func(b *testing.B) {
				timed(b, func(ctx context.Context, _ int) error {
					drift, err := s.RecountFleet(ctx)
					if drift != 0 {
						err = fmt.Errorf("the counters were wrong by %d", drift)
					}
					return err
				})
			})
		})
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// timed runs do b.N times and reports how long each took.
func timed(b *testing.B, do func(ctx context.Context, i int) error) []float64 {
	b.Helper()
	took := make([]float64, 0, b.N)
	used := processTime(b)
	for i := range b.N {
		start := time.Now()
		if err := do(b.Context(), i); err != nil {
			b.Fatal(err)
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	report(b, took)
	b.ReportMetric((processTime(b)-used)*1000/float64(b.N), "cpu-ms")
	return took
}

// processTime is how many seconds of processor this process has used: on a busy machine it says more than the clock.
func processTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(u.Utime) + seconds(u.Stime)
}

func report(b *testing.B, took []float64) {
	b.Helper()
	if len(took) == 0 {
		b.Fatal("nothing was measured")
	}
	sorted := slices.Sorted(slices.Values(took))
	b.ReportMetric(sorted[len(sorted)/2], "p50-ms")
	b.ReportMetric(sorted[min(len(sorted)-1, len(sorted)*95/100)], "p95-ms")
	b.ReportMetric(0, "ns/op")
}
