package view

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Screen draws in place on a terminal: a head that stays, and below it a table
// that changes. It must not be used concurrently.
type Screen struct {
	out   io.Writer
	size  func() (width, height int)
	color bool

	head          string
	width, height int // as of the last drawing
	drawn         int // lines of the table that stand there
}

// NewScreen returns a screen on a file if that is a terminal that can be drawn
// on. Colors are left out where the environment says so (no-color.org).
func NewScreen(file *os.File, head string) (*Screen, bool) {
	fd := int(file.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" || !enableEscapes(file) {
		return nil, false
	}
	size := func() (int, int) {
		width, height, err := term.GetSize(fd)
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
	return newScreen(file, size, os.Getenv("NO_COLOR") == "", head), true
}

func newScreen(out io.Writer, size func() (int, int), color bool, head string) *Screen {
	return &Screen{out: out, size: size, color: color, head: head}
}

// Draw replaces the table by what render returns. After the terminal changed its
// size everything is drawn anew: where lines stand now cannot be known.
func (s *Screen) Draw(render func(Style) []string) {
	width, height := s.size()
	var b strings.Builder
	if width != s.width || height != s.height {
		s.width, s.height = width, height
		b.WriteString("\x1b[?25l\x1b[H\x1b[2J" + s.head) // hide the cursor, clear
	} else if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.drawn) // up, and clear to the end
	}
	lines := render(Style{width, height, s.color})
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	s.drawn = len(lines)
	io.WriteString(s.out, b.String())
}

// Close gives the terminal back as it was.
func (s *Screen) Close() { io.WriteString(s.out, "\x1b[?25h") }
