package cache

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"
)

// MemoryOptions configures NewMemory.
type MemoryOptions struct {
	// MaxEntries bounds how many keys are kept; ≤ 0 means 100,000. At least
	// the MaxEntries/2 most recently used keys are kept.
	MaxEntries int
	// TTL is how long a key is kept after it was stored; ≤ 0 means one hour.
	TTL time.Duration
	// Observe is told of every operation; nil means nobody is.
	Observe Observer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// NearTTL suits the in-process half of NewLayered: as long as one replica may
// go on using a mapping that another one has replaced.
const NearTTL = 30 * time.Second

// Memory is a Cache within one process. Create it with NewMemory.
//
// Keys live in two generations: fresh ones enter the young one, and when that
// holds half of what is allowed it becomes the old one, whose keys are then
// forgotten unless they are used. That keeps recency as well as an exact LRU
// list does here, at a third of its memory.
type Memory struct {
	half    int
	ttl     time.Duration
	observe Observer
	now     func() time.Time

	mu         sync.Mutex
	young, old map[memoryKey]memoryEntry
	closed     bool
}

// longKey is the length above which a key is held by its digest, so that long
// values from outside cannot make MaxEntries meaningless.
const longKey = 256

type memoryKey struct {
	tenant, value string
	kind          Kind
	digested      bool // value is the digest of a long key, and tenant is empty
}

// memoryEntry shares one copy of the mapping among all keys that lead to it.
type memoryEntry struct {
	mapping *Mapping
	expires int64 // Unix nanoseconds
}

// NewMemory returns an empty cache.
func NewMemory(o MemoryOptions) *Memory {
	if o.MaxEntries <= 0 {
		o.MaxEntries = 100_000
	}
	if o.TTL <= 0 {
		o.TTL = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Memory{
		half:    max(1, o.MaxEntries/2),
		ttl:     o.TTL,
		observe: o.Observe,
		now:     o.Now,
		young:   map[memoryKey]memoryEntry{},
	}
}

// Get implements Cache.
func (c *Memory) Get(_ context.Context, k Key) (Mapping, bool) {
	now := c.now()
	m, ok := c.get(newMemoryKey(k), now.UnixNano())
	if c.observe != nil {
		outcome := OutcomeMiss
		if ok {
			outcome = OutcomeHit
		}
		c.observe(OpGet, outcome, c.now().Sub(now))
	}
	return m, ok
}

func (c *Memory) get(k memoryKey, now int64) (Mapping, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[k]
	if !ok {
		if e, ok = c.old[k]; !ok {
			return Mapping{}, false
		}
		delete(c.old, k)
		if e.expires > now {
			c.put(k.clone(), e)
		}
	}
	if e.expires <= now {
		delete(c.young, k)
		return Mapping{}, false
	}
	return *e.mapping, true
}

// Set implements Cache. It keeps copies of the strings, so that a short value
// cut from a long request does not keep the request in memory.
func (c *Memory) Set(_ context.Context, m Mapping, keys ...Key) {
	now := c.now()
	own := m
	own.ID, own.InviteID = strings.Clone(m.ID), strings.Clone(m.InviteID)
	fresh := memoryEntry{mapping: &own, expires: now.Add(c.ttl).UnixNano()}
	c.mu.Lock()
	for _, key := range keys {
		k := newMemoryKey(key)
		known, ok := c.young[k]
		if !ok {
			known, ok = c.old[k]
			delete(c.old, k)
		}
		e := fresh
		if ok && known.expires > now.UnixNano() && known.mapping.Version > m.Version {
			e = known
		}
		c.put(k.clone(), e)
	}
	c.mu.Unlock()
	if c.observe != nil {
		c.observe(OpSet, OutcomeOK, c.now().Sub(now))
	}
}

// put stores e in the young generation; c.mu is held and the old generation
// does not hold k.
func (c *Memory) put(k memoryKey, e memoryEntry) {
	if c.closed {
		return
	}
	if _, known := c.young[k]; !known && len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[memoryKey]memoryEntry, min(c.half, len(c.young)))
	}
	c.young[k] = e
}

// Delete implements Cache.
func (c *Memory) Delete(_ context.Context, keys ...Key) {
	now := c.now()
	c.mu.Lock()
	for _, key := range keys {
		k := newMemoryKey(key)
		delete(c.young, k)
		delete(c.old, k)
	}
	c.mu.Unlock()
	if c.observe != nil {
		c.observe(OpDelete, OutcomeOK, c.now().Sub(now))
	}
}

// Len reports how many keys are held, expired ones that nobody asked for
// included.
func (c *Memory) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

// Ping implements Cache; memory always works.
func (c *Memory) Ping(context.Context) error { return nil }

// Close forgets everything; a closed cache stores nothing any more.
func (c *Memory) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.young, c.old = true, map[memoryKey]memoryEntry{}, nil
	return nil
}

func newMemoryKey(k Key) memoryKey {
	if len(k.Tenant)+len(k.Value) <= longKey {
		return memoryKey{tenant: k.Tenant, kind: k.Kind, value: k.Value}
	}
	sum := sha256.Sum256(appendKey(nil, k))
	return memoryKey{kind: k.Kind, value: string(sum[:]), digested: true}
}

// clone copies the strings into one allocation.
func (k memoryKey) clone() memoryKey {
	n := len(k.tenant)
	both := k.tenant + k.value
	if n == 0 || len(k.value) == 0 {
		both = strings.Clone(both)
	}
	k.tenant, k.value = both[:n], both[n:]
	return k
}
