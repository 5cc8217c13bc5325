package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"heyi/cmd/fleetsim/sim"
)

type fleetConfig struct {
	DemoFile string
	Size     int
	Seed     int64
}

// unitRow is one line of GET /units.
type unitRow struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Name   string `json:"name"`
	Level  string `json:"level"`
	Sample bool   `json:"sample"`
}

// savedDevice keeps a simulated identity between two runs, beside the demo file, mode 0600.
type savedDevice struct {
	Serial string `json:"serial"`
	Key    []byte `json:"key"`
	ID     string `json:"id"`
	Cred   string `json:"cred"`
}

// runFleet enrols Size devices by import and keeps them alive until ctx ends.
func runFleet(ctx context.Context, c fleetConfig, logger *slog.Logger) error {
	demo, err := sim.WaitDemo(ctx, c.DemoFile)
	if err != nil {
		return fmt.Errorf("waiting for the server: %w", err)
	}
	op, err := sim.SignIn(ctx, demo, "operator", "")
	if err != nil {
		return err
	}
	rnd := mrand.New(mrand.NewPCG(uint64(c.Seed), 7)) //nolint:gosec // behaviour of a simulation, not a secret
	var units struct {
		Units []unitRow `json:"units"`
	}
	if err := op.Call(ctx, http.MethodGet, "/api/v1/units", nil, &units); err != nil {
		return err
	}
	codes := enrolUnits(units.Units)
	if len(codes) == 0 {
		return fmt.Errorf("no unit with a division code under %s", demo.URL)
	}
	fleet, err := makeFleet(c, codes, rnd)
	if err != nil {
		return err
	}
	keep := filepath.Join(filepath.Dir(c.DemoFile), "fleetsim.json")
	if err := enrolFleet(ctx, op, fleet, keep); err != nil {
		return err
	}
	for _, d := range fleet {
		if d.Journal, err = sim.OpenJournal(filepath.Join(filepath.Dir(c.DemoFile), "fleetsim-journals", d.Serial+".jsonl")); err != nil {
			return err
		}
		defer func() { _ = d.Journal.Close() }()
	}
	logger.InfoContext(ctx, "simulated fleet is enrolled", slog.Int("devices", len(fleet)), slog.Int64("seed", c.Seed))
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, d := range fleet {
		own := mrand.New(mrand.NewPCG(uint64(c.Seed), uint64(i)+100)) //nolint:gosec // behaviour of a simulation, not a secret
		wg.Go(func() {
			if !sim.Pause(ctx, time.Duration(own.Int64N(int64(4*time.Second)))) {
				return
			}
			if err := d.Live(ctx, sim.Life{Hosts: []string{demo.URL}, Telemetry: 30 * time.Second, AtOnce: true, Rand: own}); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "a simulated device gave up", slog.String("serial", d.Serial), slog.String("err", err.Error()))
			}
		})
	}
	<-ctx.Done()
	return nil
}

// enrolUnits returns the codes of villages and townships: where devices stand.
func enrolUnits(units []unitRow) []string {
	var codes []string
	for _, u := range units {
		if u.Code != "" && (u.Level == "village" || u.Level == "township") {
			codes = append(codes, u.Code)
		}
	}
	return codes
}

func makeFleet(c fleetConfig, codes []string, rnd *mrand.Rand) ([]*sim.Device, error) {
	kinds := []struct{ kind, class, name string }{
		{"stb", "home", "电视"}, {"stb", "home", "电视"}, {"stb", "public", "村部电视"}, {"kiosk", "public", "一体机"}, {"tablet", "public", "调解终端"},
	}
	var fleet []*sim.Device
	for i := range c.Size {
		d, err := sim.NewDevice(fmt.Sprintf("SIM-%d-%05d", c.Seed, i))
		if err != nil {
			return nil, err
		}
		k := kinds[rnd.IntN(len(kinds))]
		d.Kind, d.Class, d.Org = k.kind, k.class, codes[rnd.IntN(len(codes))]
		d.Name = fmt.Sprintf("模拟%s%02d", k.name, i+1)
		fleet = append(fleet, d)
	}
	return fleet, nil
}

// enrolFleet gives every device its identity: from the file of an earlier run, else by import and claim.
func enrolFleet(ctx context.Context, op *sim.Client, fleet []*sim.Device, keep string) error {
	old := map[string]savedDevice{}
	if b, err := os.ReadFile(keep); err == nil { //nolint:gosec // our own file beside the demo file
		var list []savedDevice
		if err := json.Unmarshal(b, &list); err != nil {
			return fmt.Errorf("%s is damaged, remove it: %w", keep, err)
		}
		for _, s := range list {
			old[s.Serial] = s
		}
	}
	var fresh []*sim.Device
	for _, d := range fleet {
		if s, ok := old[d.Serial]; ok {
			d.Restore(s.Key, s.ID, s.Cred)
			continue
		}
		fresh = append(fresh, d)
	}
	if len(fresh) > 0 {
		if err := importDevices(ctx, op, fresh); err != nil {
			return err
		}
	}
	list := make([]savedDevice, 0, len(fleet))
	for _, d := range fleet {
		list = append(list, savedDevice{Serial: d.Serial, Key: d.Seed(), ID: d.ID, Cred: d.Cred})
	}
	b, err := json.Marshal(list) //nolint:gosec // simulated credentials, kept 0600
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := os.WriteFile(keep, b, 0o600); err != nil {
		return fmt.Errorf("keep the fleet's keys: %w", err)
	}
	return nil
}

// importDevices registers the fingerprints and collects the credentials: claims of what is imported already run beside
// the import of the next part, so that the server's group commits are shared.
func importDevices(ctx context.Context, op *sim.Client, fleet []*sim.Device) error {
	const importPart, claimers = 500, 48
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ready := make(chan *sim.Device, importPart)
	var wg sync.WaitGroup
	for range claimers {
		wg.Go(func() {
			for d := range ready {
				if ctx.Err() != nil {
					continue // another one failed: the importer must not wait for us
				}
				if err := d.Enrol(ctx, op); err != nil {
					cancel(err)
				}
			}
		})
	}
	for part := range slices.Chunk(fleet, importPart) {
		if err := importPartOf(ctx, op, part); err != nil {
			cancel(err)
			break
		}
		for _, d := range part {
			ready <- d
		}
	}
	close(ready)
	wg.Wait()
	return context.Cause(ctx)
}

func importPartOf(ctx context.Context, op *sim.Client, part []*sim.Device) error {
	var csv strings.Builder
	csv.WriteString(sim.ImportHead)
	for _, d := range part {
		csv.WriteString(d.CSV() + "\n")
	}
	var res struct {
		Results []struct {
			Line int    `json:"line"`
			OK   bool   `json:"ok"`
			Code string `json:"code"`
		} `json:"results"`
	}
	if err := op.Call(ctx, http.MethodPost, "/api/v1/devices/import", csv.String(), &res); err != nil {
		return err
	}
	for _, r := range res.Results {
		if !r.OK && r.Code != "device.serial_taken" {
			return fmt.Errorf("import line %d: %s", r.Line, r.Code)
		}
	}
	return nil
}
