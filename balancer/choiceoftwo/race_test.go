//go:build race

package choiceoftwo

const raceEnabled = true
