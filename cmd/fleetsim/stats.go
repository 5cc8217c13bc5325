package main

import "slices"

// quantile returns the q-quantile (0..1) of values, 0 when there are none; values are sorted in place.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}
