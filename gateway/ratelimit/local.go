package ratelimit

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// LocalConfig says how counts are kept in this process.
type LocalConfig struct {
	// Keys bounds how many keys are remembered; those not used for longest are
	// forgotten first. A key takes some 100 bytes, however long it is. 64 to
	// 100,000,000; default 100,000.
	//
	// A key that is forgotten while it still counts has its full rate again.
	// [Local.Forgotten] tells how often that happened.
	Keys int

	// Now is the clock. Default [time.Now].
	Now func() time.Time
}

// Local is a [Store] in this process.
type Local struct {
	now    func() time.Time
	epoch  time.Time
	seeds  [2]maphash.Seed
	shards [shardCount]shard
}

// shardCount is how many locks there are, a power of two.
const shardCount = 16

// NewLocal returns an empty store.
func NewLocal(config LocalConfig) (*Local, error) {
	if config.Keys == 0 {
		config.Keys = 100_000
	}
	if err := setting.InRange("Keys", config.Keys, 64, 100_000_000); err != nil {
		return nil, fmt.Errorf("ratelimit: LocalConfig.%w", err)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Local{now: config.Now, epoch: config.Now(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range s.shards {
		s.shards[i].init(config.Keys / shardCount)
	}
	return s, nil
}

// Take implements [Store]. It returns no error.
func (s *Local) Take(_ context.Context, takes []Take) ([]Result, error) {
	results := make([]Result, len(takes))
	s.takeInto(results, takes)
	return results, nil
}

func (s *Local) takeInto(results []Result, takes []Take) {
	var ids [MaxPolicies]keyHash
	touched := uint32(0)
	for i, take := range takes {
		ids[i] = s.hash(take.Key)
		touched |= 1 << ids[i].shard()
	}
	// Always in the same order, so that two calls cannot wait for each other.
	for i := range s.shards {
		if touched&(1<<i) != 0 {
			s.shards[i].mu.Lock()
		}
	}
	defer s.unlock(touched)
	s.take(results, takes, ids[:len(takes)])
}

func (s *Local) unlock(touched uint32) {
	for i := range s.shards {
		if touched&(1<<i) != 0 {
			s.shards[i].mu.Unlock()
		}
	}
}

// take decides with the locks held.
func (s *Local) take(results []Result, takes []Take, ids []keyHash) {
	now := s.now().Sub(s.epoch)
	var counted [MaxPolicies]time.Duration
	refused := false
	for i, take := range takes {
		counted[i], results[i] = take.Rate.Decide(s.shardOf(ids[i]).get(ids[i]), now)
		refused = refused || !results[i].Allowed
	}
	for i, take := range takes {
		sh := s.shardOf(ids[i])
		if !refused {
			sh.put(ids[i], counted[i], now)
			continue
		}
		sh.touch(ids[i])
		if results[i].Allowed {
			results[i] = take.Rate.peek(sh.get(ids[i]), now)
		}
	}
}

// Forgotten returns how many keys were forgotten while they still counted. If it
// grows, Keys is too small, or somebody makes up callers.
func (s *Local) Forgotten() uint64 {
	var n uint64
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += s.shards[i].forgotten
		s.shards[i].mu.Unlock()
	}
	return n
}

// A keyHash stands for a key. With 128 bits and seeds that nobody knows, two
// keys do not share one by chance nor by intent.
type keyHash [2]uint64

func (h keyHash) shard() int { return int(h[0] % shardCount) }

func (s *Local) hash(key string) keyHash {
	return keyHash{maphash.String(s.seeds[0], key), maphash.String(s.seeds[1], key)}
}

func (s *Local) shardOf(h keyHash) *shard { return &s.shards[h.shard()] }

// A shard is a part of the keys, in the order of their last use.
type shard struct {
	mu        sync.Mutex
	index     map[keyHash]int32
	entries   []entry // entries[0] ties the list into a ring
	limit     int
	forgotten uint64
}

type entry struct {
	id         keyHash
	full       time.Duration // see Rate.Decide
	prev, next int32
}

func (s *shard) init(limit int) {
	s.index, s.entries, s.limit = map[keyHash]int32{}, make([]entry, 1), limit
}

// get returns when the key is full again; the past, if nothing is known of it.
func (s *shard) get(id keyHash) time.Duration {
	if at, ok := s.index[id]; ok {
		return s.entries[at].full
	}
	return 0
}

// touch makes a key, if it is known, the one used last: one who goes on calling
// is not to be forgotten for being refused.
func (s *shard) touch(id keyHash) {
	if at, ok := s.index[id]; ok {
		s.unlink(at)
		s.linkFirst(at)
	}
}

// put remembers a key as the one used last.
func (s *shard) put(id keyHash, full, now time.Duration) {
	at, ok := s.index[id]
	switch {
	case ok:
		s.unlink(at)
	case len(s.entries) <= s.limit:
		s.entries = append(s.entries, entry{})
		at = int32(len(s.entries) - 1)
	default:
		at = s.entries[0].prev // the one not used for longest
		if s.entries[at].full > now {
			s.forgotten++
		}
		s.unlink(at)
		delete(s.index, s.entries[at].id)
	}
	s.entries[at].id, s.entries[at].full = id, full
	s.index[id] = at
	s.linkFirst(at)
}

func (s *shard) unlink(at int32) {
	e := s.entries[at]
	s.entries[e.prev].next, s.entries[e.next].prev = e.next, e.prev
}

func (s *shard) linkFirst(at int32) {
	first := s.entries[0].next
	s.entries[at].prev, s.entries[at].next = 0, first
	s.entries[first].prev, s.entries[0].next = at, at
}
