//go:build race

package wirejson_test

// raceEnabled is set where a sync.Pool drops what it is given, at random.
const raceEnabled = true
