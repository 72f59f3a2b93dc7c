package compress

import (
	"strconv"
	"strings"
)

// accepted returns the coding that the values of Accept-Encoding like best of
// those that there are, nil if that is none (RFC 9110, section 12.5.3).
func (c *Compressor) accepted(values []string) *codec {
	var best *codec
	bestQuality := 0
	for _, codec := range c.codecs {
		if q := quality(values, codec.name); q > bestQuality {
			best, bestQuality = codec, q
		}
	}
	// What is only accepted after the plain form is not asked for.
	if bestQuality < quality(values, "identity") && explicit(values, "identity") {
		return nil
	}
	return best
}

// quality is how much a coding is liked, in thousandths.
func quality(values []string, name string) int {
	others := 0
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			coding, params, _ := strings.Cut(element, ";")
			coding = strings.TrimSpace(coding)
			switch {
			case strings.EqualFold(coding, name):
				return qvalue(params)
			case coding == "*":
				others = qvalue(params)
			}
		}
	}
	return others
}

// explicit reports whether a coding is named.
func explicit(values []string, name string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			coding, _, _ := strings.Cut(element, ";")
			if strings.EqualFold(strings.TrimSpace(coding), name) {
				return true
			}
		}
	}
	return false
}

// qvalue reads the weight among parameters. Without one it is 1; what cannot be
// read counts as not acceptable.
func qvalue(params string) int {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}
