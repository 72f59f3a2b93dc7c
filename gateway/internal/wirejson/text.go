package wirejson

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// plainByte holds the bytes that a JSON string holds as they are.
var plainByte = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendString writes s as a JSON string.
func appendString(out, s []byte) ([]byte, error) {
	out = append(out, '"')
	start := 0
	for i := 0; i < len(s); {
		if len(s)-i >= 8 && allPlain8(s[i:]) {
			i += 8
			continue
		}
		c := s[i]
		if plainByte[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				return out, errNotUTF8
			}
			i += n
			continue
		}
		out = append(out, s[start:i]...)
		out = appendEscape(out, c)
		i++
		start = i
	}
	out = append(out, s[start:]...)
	return append(out, '"'), nil
}

// allPlain8 reports whether the next eight bytes are all in plainByte, looking at
// them at once. In each byte of a sum below, the highest bit is set if that byte
// is no ASCII, a control, a quote or a backslash; it may also be set if one
// before it is.
func allPlain8(s []byte) bool {
	const each = 0x0101010101010101
	x := binary.LittleEndian.Uint64(s)
	return (x|(x-' '*each)|((x^'"'*each)-each)|((x^'\\'*each)-each))&(0x80*each) == 0
}

func appendEscape(out []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(out, '\\', c)
	case '\b':
		return append(out, '\\', 'b')
	case '\f':
		return append(out, '\\', 'f')
	case '\n':
		return append(out, '\\', 'n')
	case '\r':
		return append(out, '\\', 'r')
	case '\t':
		return append(out, '\\', 't')
	default:
		const hex = "0123456789abcdef"
		return append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
}

// appendFloat writes a number as ECMAScript does, and what JSON has no number
// for as a string.
func appendFloat(out []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(out, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(out, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 {
		if bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	out = strconv.AppendFloat(out, v, format, -1, bits)
	if n := len(out); format == 'e' && n >= 4 && out[n-4] == 'e' && out[n-3] == '-' && out[n-2] == '0' {
		out[n-2] = out[n-1] // e-09 becomes e-9
		out = out[:n-1]
	}
	return out
}
