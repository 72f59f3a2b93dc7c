package route

import (
	"net/url"
	"strings"
)

// Expand returns the path that the template stands for with a value for each
// variable, escaped: the inverse of matching. It returns "" if a value does not
// match its variable, or if the template has a `*` outside of variables.
func (t *Template) Expand(value func(field string) string) string {
	var path strings.Builder
	for i := 0; i < len(t.segments); {
		path.WriteByte('/')
		if v := t.variableAt(i); v != nil {
			text, ok := t.escaped(v, value(v.field))
			if !ok {
				return ""
			}
			path.WriteString(text)
			if v.end < 0 {
				break
			}
			i = v.end
			continue
		}
		if t.segments[i].kind != literal {
			return ""
		}
		path.WriteString(url.PathEscape(t.segments[i].text))
		i++
	}
	if t.verb != "" {
		path.WriteByte(':')
		path.WriteString(t.verb)
	}
	return path.String()
}

func (t *Template) variableAt(i int) *variable {
	for n := range t.vars {
		if t.vars[n].start == i {
			return &t.vars[n]
		}
	}
	return nil
}

// escaped escapes a value, if it is one that the variable captures.
func (t *Template) escaped(v *variable, value string) (string, bool) {
	if !v.multi {
		return escapeSegment(value), value != "" && t.fits(v, []string{value})
	}
	segments := strings.Split(value, "/")
	if !t.fits(v, segments) {
		return "", false
	}
	for i, s := range segments {
		// An escaped slash stays escaped in what such a variable captures.
		segments[i] = strings.ReplaceAll(escapeSegment(s), "%252F", "%2F")
	}
	return strings.Join(segments, "/"), true
}

// escapeSegment also escapes a colon, behind which a verb would stand.
func escapeSegment(s string) string { return strings.ReplaceAll(url.PathEscape(s), ":", "%3A") }

func (t *Template) fits(v *variable, segments []string) bool {
	want := t.segments[v.start:]
	if v.end >= 0 {
		want = t.segments[v.start:v.end]
	}
	for i, w := range want {
		if w.kind == deep {
			return true
		}
		if i >= len(segments) || segments[i] == "" || segments[i] == "." || segments[i] == ".." || w.kind == literal && segments[i] != w.text {
			return false
		}
	}
	return len(segments) == len(want)
}
