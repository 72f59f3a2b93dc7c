package machine

import "os"

// Read reads how busy the machine has been.
func Read() (Reading, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Reading{}, err
	}
	return parse(data)
}
