package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what sort of token it is.
type kind int

const (
	end kind = iota
	word
	quoted
	comparator // = != < <= > >= :
	open       // (
	shut       // )
)

// token is a piece of a filter.
type token struct {
	kind kind
	pos  int // in characters, from 1
	text string
	// An asterisk of a value that is no wildcard, because it was escaped, is here
	// escapedStar until the value is used.
}

// escapedStar stands for `\*`. It is no character of any valid filter: lex refuses
// the private use area's last one.
const escapedStar = '\U0010FFFD'

// special characters end a word.
const special = `()<>=!:,"'\`

// lex cuts a filter into tokens, the last of which is the end.
func lex(text string) ([]token, error) {
	if !utf8.ValidString(text) {
		return nil, errorAt(1, "not valid UTF-8")
	}
	runes := []rune(text)
	if len(runes) > MaxLength {
		return nil, errorAt(MaxLength+1, "a filter has at most %d characters", MaxLength)
	}
	var tokens []token
	for i := 0; i < len(runes); {
		if unicode.IsSpace(runes[i]) {
			i++
			continue
		}
		tok, length, err := next(runes[i:], i+1)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, tok)
		i += length
	}
	return append(tokens, token{kind: end, pos: len(runes) + 1}), nil
}

// next is the first token of rest, which begins at pos, and its length.
func next(rest []rune, pos int) (token, int, error) {
	switch r := rest[0]; r {
	case '(':
		return token{open, pos, "("}, 1, nil
	case ')':
		return token{shut, pos, ")"}, 1, nil
	case '=', ':':
		return token{comparator, pos, string(r)}, 1, nil
	case '<', '>', '!':
		if len(rest) > 1 && rest[1] == '=' {
			return token{comparator, pos, string(rest[:2])}, 2, nil
		}
		if r == '!' {
			return token{}, 0, errorAt(pos, `"!" stands only in "!="; a condition is turned round with NOT or -`)
		}
		return token{comparator, pos, string(r)}, 1, nil
	case '"', '\'':
		return lexQuoted(rest, pos)
	case ',', '\\':
		return token{}, 0, errorAt(pos, "unexpected %q; in a value it needs quotes", r)
	}
	n := 0
	for n < len(rest) && !unicode.IsSpace(rest[n]) && !strings.ContainsRune(special, rest[n]) {
		if rest[n] == escapedStar {
			return token{}, 0, errorAt(pos+n, "a character that is not allowed")
		}
		n++
	}
	return token{word, pos, string(rest[:n])}, n, nil
}

func lexQuoted(rest []rune, pos int) (token, int, error) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch r := rest[i]; {
		case r == rest[0]:
			return token{quoted, pos, b.String()}, i + 1, nil
		case r == escapedStar:
			return token{}, 0, errorAt(pos+i, "a character that is not allowed")
		case r == '\\' && i+1 < len(rest):
			i++
			if rest[i] == '*' {
				b.WriteRune(escapedStar)
			} else {
				b.WriteRune(rest[i])
			}
		default:
			b.WriteRune(r)
		}
	}
	return token{}, 0, errorAt(pos, "the string that begins here has no closing %c", rest[0])
}
