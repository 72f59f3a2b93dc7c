//go:build race

package simcmd

const raceEnabled = true
