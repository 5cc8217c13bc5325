package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
)

// consoleLine is one result of BenchmarkFleet (store/fleet_bench_test.go): engine, question, then figures with units.
var (
	consoleLine   = regexp.MustCompile(`^BenchmarkFleet/(\w+)/(\w+)(?:-\d+)?\s`)
	consoleFigure = regexp.MustCompile(`([\d.e+]+) (p50|p95|cpu)-ms`)
)

// runConsoleFigures reads the output of the fleet's benchmark from in and adds its figures to those in the JSON file: how
// long the console waits for lists, windows and counts of 100,000 devices.
func runConsoleFigures(in io.Reader, path string) error {
	f := newFigures()
	b, err := os.ReadFile(path) //nolint:gosec // named by the caller
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &f.value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("figures: %w", err)
	}
	found := 0
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		m := consoleLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		for _, v := range consoleFigure.FindAllStringSubmatch(lines.Text(), -1) {
			ms, err := strconv.ParseFloat(v[1], 64)
			if err != nil {
				return fmt.Errorf("%q: %w", lines.Text(), err)
			}
			f.put("console_"+m[1]+"_"+m[2]+"_"+v[2]+"_ms", ms, "ms")
			found++
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	if found == 0 {
		return errors.New("benchmark: no results of BenchmarkFleet on standard input")
	}
	if err := f.load("console_load_average"); err != nil {
		return err
	}
	return f.write(path)
}
