package devices_test

import (
	"fmt"
	"testing"
	"time"

	"heyi/devices"
)

func TestClones(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	type took struct {
		held, next string
		after      time.Duration
	}
	turns := func(every time.Duration, boots ...string) (list []took) {
		for i := range len(boots) - 1 {
			list = append(list, took{boots[i], boots[i+1], every})
		}
		return list
	}
	var reboots []string
	for i := range 51 {
		reboots = append(reboots, fmt.Sprint(i))
	}
	tests := map[string]struct {
		takes []took
		want  int // the take that finds it, from 1; 0: none
	}{
		"A-B-A-B-A":                     {turns(time.Minute, "a", "b", "a", "b", "a"), 4},
		"A-B-A-B is not enough":         {turns(time.Second, "a", "b", "a", "b"), 0},
		"too slow":                      {turns(201*time.Second, "a", "b", "a", "b", "a", "b", "a"), 0},
		"just fast enough":              {turns(200*time.Second, "a", "b", "a", "b", "a"), 4},
		"50 quick reboots":              {turns(time.Second, reboots...), 0},
		"a flapping line":               {turns(time.Second, "a", "a", "a", "a", "a", "a", "a"), 0},
		"a flapping line between":       {turns(time.Minute, "a", "b", "b", "a", "a", "b", "a"), 6},
		"a reboot breaks the pair":      {turns(time.Minute, "a", "b", "a", "c", "a", "c"), 0},
		"two places, one of them moves": {turns(time.Minute, "a", "b", "c", "b", "c", "b"), 5},
		"no boot id":                    {turns(time.Second, "", "a", "", "a", "", "a"), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s devices.Swaps
			now, found := start, 0
			for i, k := range tt.takes {
				now = now.Add(k.after)
				if s.Took(k.held, k.next, now) && found == 0 {
					found = i + 1
				}
			}
			if found != tt.want {
				t.Errorf("found at take %d, want %d", found, tt.want)
			}
			if s.Stale(now) && tt.want != 0 || !s.Stale(now.Add(time.Hour)) {
				t.Error("forgotten too early or never")
			}
		})
	}
}
