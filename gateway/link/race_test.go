//go:build race

package link_test

// raceFactor multiplies limits of memory: the race detector keeps shadows of everything.
const raceFactor = 2

// memoryLinks is how many links TestMemoryPerLink opens.
const memoryLinks = 400
