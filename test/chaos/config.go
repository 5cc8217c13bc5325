package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// config is one run.
type config struct {
	Heyi  string // the program under test
	Clock string // the same sources with a clock that can jump (clock.go); empty: no clock faults
	Fonts string // folder with the fonts of papers
	Units string // CSV of the administrative tree
	JSON  string // where the figures go
	Keep  string // folder for logs and data, empty: a temporary one that is removed after a clean run

	Faults   int
	Seed     uint64
	Nodes    int
	Devices  int
	Citizens int           // of the devices, those with people who draw tickets
	Desks    int           // mediators
	Time     time.Duration // within which the faults are injected
	Warm     time.Duration // before the first fault
	Talk     time.Duration // longest conversation
	Only     string        // kinds of faults, separated by commas; empty: all
	Out      io.Writer
}

// rootUnit is the unit whose subtree the staff's roles reach.
const rootUnit = "150400000000"

func parse(args []string, out io.Writer) (config, error) {
	c := config{Out: out}
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.StringVar(&c.Heyi, "heyi", "build/heyi", "the program under test")
	fs.StringVar(&c.Clock, "clock", "", "the same program with a clock that can jump (make chaos builds it); empty: no clock faults")
	fs.StringVar(&c.Fonts, "fonts", "build/fonts", "folder with the fonts of papers")
	fs.StringVar(&c.Units, "units", "internal/org/chifeng.csv", "administrative tree")
	fs.StringVar(&c.JSON, "json", "build/chaos.json", "figures as one JSON object")
	fs.StringVar(&c.Keep, "keep", "", "folder for logs and data; empty: a temporary one, removed after a clean run")
	fs.IntVar(&c.Faults, "faults", 200, "faults to inject")
	fs.Uint64Var(&c.Seed, "seed", 0, "seed of all choices; 0: one is drawn and printed")
	fs.IntVar(&c.Nodes, "nodes", 3, "nodes")
	fs.IntVar(&c.Devices, "devices", 200, "devices")
	fs.IntVar(&c.Citizens, "citizens", 16, "devices with people who ask for advice")
	fs.IntVar(&c.Desks, "desks", 6, "mediators")
	fs.DurationVar(&c.Time, "time", 12*time.Minute, "time within which the faults are injected")
	fs.DurationVar(&c.Warm, "warm", 15*time.Second, "time before the first fault")
	fs.DurationVar(&c.Talk, "talk", 40*time.Second, "longest conversation")
	fs.StringVar(&c.Only, "only", "", "kinds of faults, separated by commas; empty: all")
	if err := fs.Parse(args); err != nil {
		return c, fmt.Errorf("flags: %w", err)
	}
	for _, path := range []*string{&c.Heyi, &c.Clock, &c.Fonts, &c.Units} { // nodes run in a folder of their own
		if *path == "" {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return c, fmt.Errorf("path: %w", err)
		}
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	if c.Nodes < 2 || c.Citizens > c.Devices || c.Faults < 1 {
		return c, errors.New("want at least 2 nodes, 1 fault and no more citizens than devices")
	}
	return c, nil
}
