package app

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// How much garbage may lie about, in percent of what lives (stacks of links count as living). A wave of connects makes
// garbage fast and is over soon; afterwards the same room would be held by garbage of heartbeats for days.
const (
	garbageInWave = 200
	garbageInCalm = 25
	waveFrom      = 100 // new links a second
	memoryLook    = time.Second
	memoryCalm    = 3 // looks without a wave until it is over
)

// memory chooses the pace of garbage collection; one that was set by GOGC is left alone.
func (n *node) memory(ctx context.Context) error {
	if _, set := os.LookupEnv("GOGC"); set {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	debug.SetGCPercent(garbageInCalm)
	wave, calm, before := false, 0, n.hub.Links()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := n.hub.Links()
		rising := now-before >= waveFrom
		before = now
		switch {
		case rising:
			if calm = 0; !wave {
				wave = true
				debug.SetGCPercent(garbageInWave)
			}
		case wave:
			if calm++; calm >= memoryCalm {
				wave = false
				debug.SetGCPercent(garbageInCalm)
				debug.FreeOSMemory() // one collection; stacks that grew in the wave shrink with it
			}
		}
	}
}
