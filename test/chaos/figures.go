package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// figures are what a run measured. It is safe for concurrent use.
type figures struct {
	mu      sync.Mutex
	samples map[string][]float64
	values  map[string]float64
	units   map[string]string
}

func newFigures() *figures {
	return &figures{samples: map[string][]float64{}, values: map[string]float64{}, units: map[string]string{}}
}

func (f *figures) add(name string, v float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.samples[name] = append(f.samples[name], v)
}

func (f *figures) put(name string, v float64, unit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[name], f.units[name] = v, unit
}

// spread puts quantiles of the samples of a name.
func (f *figures) spread(name, unit string, quantiles ...int) {
	f.mu.Lock()
	list := slices.Clone(f.samples[name])
	f.mu.Unlock()
	slices.Sort(list)
	f.put(name+"_count", float64(len(list)), "1")
	if len(list) == 0 {
		return
	}
	for _, q := range quantiles {
		f.put(fmt.Sprintf("%s_p%d", name, q), list[min(len(list)-1, len(list)*q/100)], unit)
	}
	f.put(name+"_max", list[len(list)-1], unit)
}

func (f *figures) print(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		_, _ = fmt.Fprintf(w, "%s %.6g %s\n", name, f.values[name], f.units[name])
	}
}

// save writes the figures with what else is to be kept.
func (f *figures) save(path string, more map[string]any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]any{"figures": f.values, "units": f.units}
	maps.Copy(all, more)
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("figures: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("figures: %w", err)
	}
	return nil
}
