package wirejson

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
)

// errNoForm stands for values of well-known types that JSON has no form for.
var errNoForm = errors.New("a value of a well-known type has no JSON form")

// special writes a message that is written in a way of its own.
func (w *writer) special(m *message, wire []byte, depth int) error {
	states, err := w.scanned(m, wire, depth)
	if err != nil {
		return err
	}
	switch m.special {
	case anyMessage:
		err = w.any(m, states, depth)
	case timestamp:
		err = w.timestamp(int64(states[0].bits), int64(states[1].bits))
	case duration:
		err = w.duration(int64(states[0].bits), int64(states[1].bits))
	case wrapper:
		err = w.value(&m.fields[0], states[0].bits, states[0].data, depth)
	case structMessage:
		err = w.mapField(&m.fields[0], &states[0], wire, depth)
	case listValue:
		err = w.list(&m.fields[0], &states[0], wire, depth)
	case value:
		err = w.anyValue(m, states, depth)
	case fieldMask:
		err = w.fieldMask(&m.fields[0], &states[0], wire)
	}
	w.release(m)
	return err
}

// any writes the message within: its fields beside its type, or, if it is
// written in a way of its own, that as value.
func (w *writer) any(m *message, states []state, depth int) error {
	url, data := states[0].data, states[1].data
	if len(url) == 0 {
		if len(data) > 0 {
			return errNoForm
		}
		w.out = append(w.out, "{}"...)
		return nil
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByURL(string(url))
	if err != nil {
		return errNoForm
	}
	inner := w.encoder.typeOf(mt.Descriptor())
	if !inner.plain {
		w.out, err = w.encoder.built(w.out, &anypb.Any{TypeUrl: string(url), Value: data})
		return err
	}
	w.out = append(w.out, `{"@type":`...)
	if err := w.value(&m.fields[0], 0, url, depth); err != nil {
		return err
	}
	if inner.special == ordinary {
		err = w.members(inner, data, depth+1, true)
	} else {
		w.out = append(w.out, `,"value":`...)
		err = w.special(inner, data, depth+1)
	}
	w.out = append(w.out, '}')
	return err
}

const (
	maxNanos    = 999_999_999
	maxSeconds  = 315_576_000_000 // of a duration: ten thousand years
	firstSecond = -62_135_596_800 // 0001-01-01T00:00:00Z
	lastSecond  = 253_402_300_799 // 9999-12-31T23:59:59Z
)

func (w *writer) timestamp(seconds, nanos int64) error {
	if seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos > maxNanos {
		return errNoForm
	}
	at := time.Unix(seconds, 0).UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	w.out = append(w.out, '"')
	w.twoDigits(year / 100)
	w.twoDigits(year % 100)
	w.out = append(w.out, '-')
	w.twoDigits(int(month))
	w.out = append(w.out, '-')
	w.twoDigits(day)
	w.out = append(w.out, 'T')
	w.twoDigits(hour)
	w.out = append(w.out, ':')
	w.twoDigits(minute)
	w.out = append(w.out, ':')
	w.twoDigits(second)
	w.fraction(nanos)
	w.out = append(w.out, 'Z', '"')
	return nil
}

func (w *writer) duration(seconds, nanos int64) error {
	if seconds < -maxSeconds || seconds > maxSeconds || nanos < -maxNanos || nanos > maxNanos ||
		seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		return errNoForm
	}
	w.out = append(w.out, '"')
	if seconds < 0 || nanos < 0 {
		w.out = append(w.out, '-')
		seconds, nanos = -seconds, -nanos
	}
	w.out = strconv.AppendInt(w.out, seconds, 10)
	w.fraction(nanos)
	w.out = append(w.out, 's', '"')
	return nil
}

func (w *writer) twoDigits(n int) { w.out = append(w.out, byte('0'+n/10), byte('0'+n%10)) }

// fraction writes no, three, six or nine digits.
func (w *writer) fraction(nanos int64) {
	if nanos == 0 {
		return
	}
	var room [10]byte
	digits := strconv.AppendInt(room[:0], 1_000_000_000+nanos, 10) // a 1 and nine digits
	digits[0] = '.'
	for string(digits[len(digits)-3:]) == "000" {
		digits = digits[:len(digits)-3]
	}
	w.out = append(w.out, digits...)
}

// anyValue writes a google.protobuf.Value.
func (w *writer) anyValue(m *message, states []state, depth int) error {
	i := slices.IndexFunc(states, func(s state) bool { return s.set })
	if i < 0 {
		return errNoForm
	}
	if m.fields[i].kind == protoreflect.DoubleKind {
		if v := math.Float64frombits(states[i].bits); math.IsNaN(v) || math.IsInf(v, 0) {
			return errNoForm
		}
	}
	return w.value(&m.fields[i], states[i].bits, states[i].data, depth)
}

// fieldMask writes paths in lowerCamelCase, if they can be read back.
func (w *writer) fieldMask(f *field, s *state, wire []byte) error {
	w.out = append(w.out, '"')
	first := len(w.out)
	err := occurrences(f, s, wire, func(_ protowire.Type, b []byte) error {
		path, _ := protowire.ConsumeBytes(b)
		if !protoreflect.FullName(path).IsValid() {
			return errNoForm
		}
		w.comma(first)
		start := len(w.out)
		w.out = appendCamel(w.out, path)
		if !isSnakeOf(path, w.out[start:]) {
			return errNoForm
		}
		return nil
	})
	w.out = append(w.out, '"')
	return err
}

func appendCamel(out, path []byte) []byte {
	underscore := false
	for _, c := range path {
		if c != '_' {
			if underscore && 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			out = append(out, c)
		}
		underscore = c == '_'
	}
	return out
}

// isSnakeOf reports whether path is what camel is read as.
func isSnakeOf(path, camel []byte) bool {
	i := 0
	next := func(c byte) bool {
		ok := i < len(path) && path[i] == c
		i++
		return ok
	}
	for _, c := range camel {
		if 'A' <= c && c <= 'Z' {
			if !next('_') {
				return false
			}
			c += 'a' - 'A'
		}
		if !next(c) {
			return false
		}
	}
	return i == len(path)
}
