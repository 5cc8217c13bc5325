package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
)

// storeLine is one result of BenchmarkWrite (store/bench_test.go): engine, callers, what was written, rows a second.
var storeLine = regexp.MustCompile(`^BenchmarkWrite/(\w+)/(\d+)/(\w+)(?:-\d+)?\s.*?([\d.e+]+) rows/s`)

// runStoreFigures reads the output of the store's benchmark from in and adds the medians to the figures in the JSON
// file: durable commands a second of many callers, and beside each what the bare engine gives for a plain insert.
func runStoreFigures(in io.Reader, path string) error {
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
	runs, err := storeRuns(in)
	if err != nil {
		return err
	}
	for _, engine := range slices.Sorted(maps.Keys(runs)) {
		bare, command := quantile(runs[engine]["bare"], 0.5), quantile(runs[engine]["command"], 0.5)
		if bare == 0 || command == 0 {
			return fmt.Errorf("%s: no figures for bare and command", engine)
		}
		f.put("store_"+engine+"_bare_inserts_per_second", bare, "rows/s")
		f.put("store_"+engine+"_durable_commands_per_second", command, "commands/s")
		f.put("store_"+engine+"_durable_commands_to_bare", command/bare, "ratio")
	}
	if err := f.load("store_load_average"); err != nil {
		return err
	}
	return f.write(path)
}

// storeRuns collects rows a second by engine and kind of row.
func storeRuns(in io.Reader) (map[string]map[string][]float64, error) {
	runs := map[string]map[string][]float64{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		m := storeLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		rate, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		if runs[m[1]] == nil {
			runs[m[1]] = map[string][]float64{}
		}
		runs[m[1]][m[3]] = append(runs[m[1]][m[3]], rate)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("benchmark: %w", err)
	}
	if len(runs) == 0 {
		return nil, errors.New("benchmark: no results of BenchmarkWrite on standard input")
	}
	return runs, nil
}
