//go:build !windows

package view

import "os"

// enableEscapes: terminals understand escape sequences.
func enableEscapes(*os.File) bool { return true }
