package wirejson

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// writer writes one message. Its memory is used again for the next.
type writer struct {
	encoder *Encoder
	out     []byte
	states  []state
	entries []entry
}

// entry is one of a map.
type entry struct {
	key, value state
}

// scanned returns what was found of each field of a message. The caller gives it
// back by release.
func (w *writer) scanned(m *message, wire []byte, depth int) (states []state, err error) {
	if depth >= maxDepth {
		return nil, errTooDeep
	}
	base := len(w.states)
	w.states = slices.Grow(w.states, len(m.fields))[:base+len(m.fields)]
	states = w.states[base:]
	clear(states)
	return states, scan(m, wire, states, depth)
}

func (w *writer) release(m *message) { w.states = w.states[:len(w.states)-len(m.fields)] }

// message writes a message.
func (w *writer) message(m *message, wire []byte, depth int) error {
	if m.special != ordinary {
		return w.special(m, wire, depth)
	}
	w.out = append(w.out, '{')
	if err := w.members(m, wire, depth, false); err != nil {
		return err
	}
	w.out = append(w.out, '}')
	return nil
}

// members writes the fields of a message, with commas between them, and one
// before if others are there already.
func (w *writer) members(m *message, wire []byte, depth int, comma bool) error {
	states, err := w.scanned(m, wire, depth)
	if err != nil {
		return err
	}
	for i := range m.fields {
		f, s := &m.fields[i], &states[i]
		if !w.isWritten(f, s) {
			continue
		}
		if comma {
			w.out = append(w.out, ',')
		}
		comma = true
		w.out = append(w.out, f.name...)
		if err := w.field(f, s, wire, depth); err != nil {
			return err
		}
	}
	w.release(m)
	return nil
}

func (w *writer) isWritten(f *field, s *state) bool {
	switch {
	case s.set && (f.presence || f.list || f.entry != nil || s.bits != 0 || len(s.data) > 0):
		return true
	case f.optional:
		return false
	case f.presence:
		return w.encoder.options.Unset
	default:
		return w.encoder.options.Defaults || w.encoder.options.Unset
	}
}

func (w *writer) field(f *field, s *state, wire []byte, depth int) error {
	switch {
	case f.entry != nil:
		return w.mapField(f, s, wire, depth)
	case f.list:
		return w.list(f, s, wire, depth)
	case f.presence && !s.set:
		w.out = append(w.out, "null"...)
		return nil
	default:
		return w.value(f, s.bits, s.data, depth)
	}
}

// value writes a singular value or an element.
func (w *writer) value(f *field, bits uint64, data []byte, depth int) error {
	switch f.kind {
	case protoreflect.MessageKind:
		return w.message(f.sub, data, depth+1)
	case protoreflect.StringKind:
		var err error
		w.out, err = appendString(w.out, data)
		return err
	case protoreflect.BytesKind:
		w.bytes(data)
	case protoreflect.BoolKind:
		w.out = strconv.AppendBool(w.out, bits != 0)
	case protoreflect.EnumKind:
		w.enum(f, int32(bits))
	case protoreflect.FloatKind:
		w.out = appendFloat(w.out, float64(math.Float32frombits(uint32(bits))), 32)
	case protoreflect.DoubleKind:
		w.out = appendFloat(w.out, math.Float64frombits(bits), 64)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		w.out = strconv.AppendInt(w.out, int64(bits), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		w.out = strconv.AppendUint(w.out, bits, 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		w.quote()
		w.out = strconv.AppendInt(w.out, int64(bits), 10)
		w.quote()
	default:
		w.quote()
		w.out = strconv.AppendUint(w.out, bits, 10)
		w.quote()
	}
	return nil
}

// quote puts integers of 64 bits into quotes: JavaScript cannot hold them.
func (w *writer) quote() {
	if !w.encoder.options.Int64Numbers {
		w.out = append(w.out, '"')
	}
}

func (w *writer) bytes(data []byte) {
	coding := base64.StdEncoding
	if w.encoder.options.URLBytes {
		coding = base64.RawURLEncoding
	}
	w.out = append(w.out, '"')
	w.out = coding.AppendEncode(w.out, data)
	w.out = append(w.out, '"')
}

func (w *writer) enum(f *field, number int32) {
	switch name := f.enum[number]; {
	case f.enum == nil:
		w.out = append(w.out, "null"...)
	case name == nil || w.encoder.options.EnumNumbers:
		w.out = strconv.AppendInt(w.out, int64(number), 10)
	default:
		w.out = append(w.out, name...)
	}
}

func (w *writer) list(f *field, s *state, wire []byte, depth int) error {
	w.out = append(w.out, '[')
	first := len(w.out)
	err := occurrences(f, s, wire, func(typ protowire.Type, b []byte) error {
		if f.wire == protowire.BytesType {
			data, _ := protowire.ConsumeBytes(b)
			w.comma(first)
			return w.value(f, 0, data, depth)
		}
		if typ == protowire.BytesType {
			b, _ = protowire.ConsumeBytes(b)
		}
		for len(b) > 0 {
			bits, n := number(f.kind, b)
			if n < 0 {
				return errMalformed
			}
			w.comma(first)
			if err := w.value(f, bits, nil, depth); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	})
	w.out = append(w.out, ']')
	return err
}

// comma writes one unless nothing was written since.
func (w *writer) comma(since int) {
	if len(w.out) > since {
		w.out = append(w.out, ',')
	}
}

// occurrences calls do for each occurrence of a list or a map, all of which scan
// has seen to be well formed.
func occurrences(f *field, s *state, wire []byte, do func(protowire.Type, []byte) error) error {
	for pos := s.from; pos < s.to; {
		number, typ, n := tag(wire[pos:])
		pos += n
		end := pos + protowire.ConsumeFieldValue(number, typ, wire[pos:])
		if number == f.number && f.takes(typ) {
			if err := do(typ, wire[pos:end]); err != nil {
				return err
			}
		}
		pos = end
	}
	return nil
}

func (w *writer) mapField(f *field, s *state, wire []byte, depth int) error {
	base := len(w.entries)
	key, value := &f.entry.fields[0], &f.entry.fields[1]
	err := occurrences(f, s, wire, func(_ protowire.Type, b []byte) error {
		data, _ := protowire.ConsumeBytes(b)
		var states [2]state
		if err := scan(f.entry, data, states[:], depth); err != nil {
			return err
		}
		w.entries = append(w.entries, entry{states[0], states[1]})
		return nil
	})
	if err != nil {
		return err
	}
	entries := w.entries[base:]
	slices.SortStableFunc(entries, func(a, b entry) int { return compareKeys(key.kind, a.key, b.key) })
	w.out = append(w.out, '{')
	first := len(w.out)
	for i := range entries {
		e := &entries[i]
		if i+1 < len(entries) && compareKeys(key.kind, e.key, entries[i+1].key) == 0 {
			// The one behind it holds.
			if err := judge(value, e.value.data, depth); err != nil {
				return err
			}
			continue
		}
		w.comma(first)
		if err := w.key(key, &e.key, depth); err != nil {
			return err
		}
		if err := w.value(value, e.value.bits, e.value.data, depth); err != nil {
			return err
		}
	}
	w.entries = w.entries[:base]
	w.out = append(w.out, '}')
	return nil
}

func compareKeys(kind protoreflect.Kind, a, b state) int {
	switch kind {
	case protoreflect.StringKind:
		return bytes.Compare(a.data, b.data)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return cmp.Compare(int64(a.bits), int64(b.bits))
	default:
		return cmp.Compare(a.bits, b.bits)
	}
}

func (w *writer) key(f *field, s *state, depth int) error {
	if f.kind == protoreflect.StringKind {
		if err := w.value(f, 0, s.data, depth); err != nil {
			return err
		}
		w.out = append(w.out, ':')
		return nil
	}
	w.out = append(w.out, '"')
	switch f.kind {
	case protoreflect.BoolKind:
		w.out = strconv.AppendBool(w.out, s.bits != 0)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.out = strconv.AppendUint(w.out, s.bits, 10)
	default:
		w.out = strconv.AppendInt(w.out, int64(s.bits), 10)
	}
	w.out = append(w.out, `":`...)
	return nil
}
