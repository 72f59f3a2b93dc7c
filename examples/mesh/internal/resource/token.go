package resource

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Tokens are signed with the store's secret, so that every replica takes the others'
// and nobody else makes any; what a page token's signature covers includes the query
// that it belongs to.
const signatureSize = 16

var (
	errPageToken   = errors.New("it is not of a page with this filter, order_by and parent: begin again without a token")
	errResumeToken = errors.New("it is not of this stream: begin again without a token")
)

// pageToken keeps the keys of a page's last row.
func (t *Table[M]) pageToken(r ListRequest, keys []any) (string, error) {
	encoded, err := json.Marshal(keys)
	if err != nil {
		return "", err
	}
	return t.seal(encoded, "page", parentOf(r), r.GetFilter(), r.GetOrderBy()), nil
}

// openPageToken returns the keys, of which there are n.
func (t *Table[M]) openPageToken(r ListRequest, n int) ([]any, error) {
	encoded, ok := t.open(r.GetPageToken(), "page", parentOf(r), r.GetFilter(), r.GetOrderBy())
	if !ok {
		return nil, errPageToken
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber() // a float64 does not hold every int64
	var keys []any
	if err := decoder.Decode(&keys); err != nil || len(keys) != n {
		return nil, errPageToken
	}
	for i, key := range keys {
		number, ok := key.(json.Number)
		if !ok {
			continue
		}
		var err error
		if keys[i], err = number.Int64(); err != nil {
			if keys[i], err = number.Float64(); err != nil {
				return nil, errPageToken
			}
		}
	}
	return keys, nil
}

// resumeToken keeps the number of a change.
func (t *Table[M]) resumeToken(seq int64) string {
	return t.seal(binary.AppendVarint(nil, seq), "watch")
}

func (t *Table[M]) openResumeToken(token string) (int64, error) {
	encoded, ok := t.open(token, "watch")
	if !ok {
		return 0, errResumeToken
	}
	seq, n := binary.Varint(encoded)
	if n != len(encoded) {
		return 0, errResumeToken
	}
	return seq, nil
}

func (t *Table[M]) seal(content []byte, context ...string) string {
	return base64.RawURLEncoding.EncodeToString(append(t.sign(content, context), content...))
}

func (t *Table[M]) open(token string, context ...string) (content []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < signatureSize {
		return nil, false
	}
	content = raw[signatureSize:]
	return content, hmac.Equal(raw[:signatureSize], t.sign(content, context))
}

func (t *Table[M]) sign(content []byte, context []string) []byte {
	mac := hmac.New(sha256.New, t.db.Secret())
	for _, part := range append([]string{t.kind.collection}, context...) {
		fmt.Fprintf(mac, "%d:%s,", len(part), part)
	}
	mac.Write(content)
	return mac.Sum(nil)[:signatureSize]
}
