package gateway

import (
	"errors"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// JSON says which of the forms that protobuf's JSON mapping allows answers
// take. Requests may take any of them, whatever is said here: fields by either
// name, enums by name or number, integers of 64 bits as strings or numbers,
// bytes in base64 or base64url, with padding or without. The zero value is the
// mapping's own choice, with fields that have no presence written always.
//
// For messages with extensions, groups or required fields, which proto3 does
// not have, Int64Numbers and URLBytes do not hold.
type JSON struct {
	// ProtoNames writes fields by their names in the proto, such as page_count.
	// Default false: by their JSON names, such as pageCount.
	ProtoNames bool

	// EnumNumbers writes enums as numbers. Default false: by their names; a
	// value without a name is a number anyway. A caller gets numbers by
	// `$alt=json;enum-encoding=int`, too.
	EnumNumbers bool

	// Int64Numbers writes integers of 64 bits as numbers, of which JavaScript
	// rounds those beyond 2^53. Default false: as strings.
	Int64Numbers bool

	// URLBytes writes bytes in base64url without padding (RFC 4648, section 5).
	// Default false: in base64 with padding.
	URLBytes bool

	// OmitDefaults leaves out fields without presence that have their default:
	// false, 0, "", the first enum value, [] and {}. Default false: they are
	// there, so that an empty list is.
	OmitDefaults bool

	// NullUnset writes null for messages that are not set. Default false: they
	// are left out. Optional scalars that are not set are left out always.
	// It excludes OmitDefaults.
	NullUnset bool
}

// Lenient says what of a request is ignored that is refused by default. What is
// ignored is lost to the caller without a word.
type Lenient struct {
	// BodyFields ignores fields of a body that the message does not have, and
	// names that an enum does not have. Default false: they are answered 400.
	BodyFields bool

	// QueryParameters ignores parameters that the method does not have. Those
	// that it has must still be right. Default false: they are answered 400.
	QueryParameters bool
}

// Streams says how streams are answered.
type Streams struct {
	// Heartbeat is how long a stream of server-sent events is silent before a
	// comment is sent, which keeps proxies from cutting it and finds out
	// whether the caller is there. 100 ms to 1 h; default 15 s.
	Heartbeat time.Duration
}

func (j *JSON) check() error {
	if j.NullUnset && j.OmitDefaults {
		return errors.New("JSON.NullUnset: excludes OmitDefaults: what is null is not left out")
	}
	return nil
}

func (s *Streams) complete() error {
	setting.Default(&s.Heartbeat, 15*time.Second)
	return setting.InRange("Streams.Heartbeat", s.Heartbeat, 100*time.Millisecond, time.Hour)
}
