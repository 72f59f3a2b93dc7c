package route

import "strings"

// pathOf is a request's path, without its verb, as it was sent.
type pathOf struct {
	text    string // behind the first slash
	escaped bool
}

// split appends the segments of the path to buf, but no more than limit: what
// lies behind those that any template has is not looked at.
func (p pathOf) split(buf []string, limit int) []string {
	rest := p.text
	for len(buf) < limit {
		segment, behind, more := strings.Cut(rest, "/")
		buf = append(buf, segment)
		if !more {
			break
		}
		rest = behind
	}
	return buf
}

// literal returns a segment with its escapes decoded, to be compared with a
// literal: an escaped slash cannot equal one, since it separates nothing.
func (p pathOf) literal(segment string) (string, bool) {
	if !p.escaped {
		return segment, true
	}
	return unescape(segment, true)
}

// capture returns what v captured. net/http has refused broken escapes by now;
// should one be left, the text is taken as it is.
func (p pathOf) capture(v variable) string {
	raw := p.text
	for range v.start {
		slash := strings.IndexByte(raw, '/')
		if slash < 0 {
			return "" // `**` that matched nothing
		}
		raw = raw[slash+1:]
	}
	if v.end >= 0 {
		raw = raw[:endOf(raw, v.end-v.start)]
	}
	if !p.escaped {
		return raw
	}
	if text, ok := unescape(raw, !v.multi); ok {
		return text
	}
	return raw
}

// endOf returns where the nth segment of s ends.
func endOf(s string, n int) int {
	end := 0
	for ; n > 0; n-- {
		slash := strings.IndexByte(s[end:], '/')
		if slash < 0 {
			return len(s)
		}
		end += slash
		if n > 1 {
			end++
		}
	}
	return end
}

// Dotted reports whether a path, as [Path] returns it, has a segment `.` or
// `..`, escaped or not. Clients and proxies take such out before they send a path
// on, each by rules of its own; what still has one means different things to
// different readers.
func Dotted(path string, escaped bool) bool {
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if len(segment) > len("%2e%2e") || segment == "" || segment[0] != '.' && segment[0] != '%' {
			continue
		}
		if text, ok := (pathOf{escaped: escaped}).literal(segment); ok && (text == "." || text == "..") {
			return true
		}
	}
	return false
}
