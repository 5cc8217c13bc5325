//go:build !race

package link_test

// raceFactor multiplies limits of memory: nothing of a race detector is in the figures.
const raceFactor = 1

// memoryLinks is how many links TestMemoryPerLink opens.
const memoryLinks = 2000
