package view

import (
	"os"

	"golang.org/x/sys/windows"
)

// enableEscapes has a console interpret escape sequences, and reports whether it
// can.
func enableEscapes(file *os.File) bool {
	var mode uint32
	handle := windows.Handle(file.Fd())
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
