// Package jsonbody judges JSON bodies: their depth before they are decoded, and
// what is wrong with them after protojson refused them. Judging is protojson's
// alone; this package only finds the field, in words that tell nothing of the
// decoder.
package jsonbody

// TooDeep reports whether objects and arrays nest deeper than most. It looks at
// nothing else: data need not be valid.
func TooDeep(data []byte, most int) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if depth++; depth > most {
				return true
			}
		case '}', ']':
			depth--
		case '"':
			i = endOfString(data, i)
		}
	}
	return false
}

// endOfString returns the index of the quote that ends the string that starts
// at i, or the last index.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(data) - 1
}

// Empty reports whether data holds nothing but white space.
func Empty(data []byte) bool {
	for _, c := range data {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}
