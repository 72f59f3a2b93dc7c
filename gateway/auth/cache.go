package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// verified is a token that was found to hold.
type verified struct {
	principal *Principal
	expires   time.Time
	key       keyID
	// fingerprint is of the key that verified it, so that it is forgotten when
	// that key is withdrawn or another takes its name.
	fingerprint [sha256.Size]byte
}

// tokenCache remembers verified tokens by their SHA-256: the tokens themselves
// are not kept. It holds two generations; when the younger one is full it
// becomes the older one, whose entries go unless they are asked for again.
// That keeps it bounded without a list to maintain.
type tokenCache struct {
	perGeneration int

	mu           sync.RWMutex
	young, older map[[sha256.Size]byte]verified
}

func newTokenCache(size int) *tokenCache {
	return &tokenCache{perGeneration: (size + 1) / 2, young: map[[sha256.Size]byte]verified{}}
}

func (c *tokenCache) get(hash [sha256.Size]byte) (verified, bool) {
	c.mu.RLock()
	v, ok := c.young[hash]
	aged := false
	if !ok {
		v, ok = c.older[hash]
		aged = ok
	}
	c.mu.RUnlock()
	if aged {
		c.put(hash, v)
	}
	return v, ok
}

func (c *tokenCache) put(hash [sha256.Size]byte, v verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.young[hash]; !there && len(c.young) >= c.perGeneration {
		c.older, c.young = c.young, make(map[[sha256.Size]byte]verified, c.perGeneration)
	}
	c.young[hash] = v
}

func (c *tokenCache) remove(hash [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, hash)
	delete(c.older, hash)
}
