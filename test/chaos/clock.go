package main

// clockEnv holds the schedule of a node's clock, "3s+3600s,20s+0s": from 3 s after the start it shows an hour more, from
// 20 s on the real time again. Only a program that make chaos built with the changed package time reads it.
const clockEnv = "CHAOS_CLOCK"
