package cachetest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
)

// ErrFailing is what the Ping of Failing says.
var ErrFailing = errors.New("this cache fails on purpose")

// Failing returns a cache that knows nothing and stores nothing.
func Failing() cache.Cache { return failing{} }

type failing struct{}

func (failing) Get(context.Context, cache.Key) (cache.Mapping, bool) { return cache.Mapping{}, false }
func (failing) Set(context.Context, cache.Mapping, ...cache.Key)     {}
func (failing) Delete(context.Context, ...cache.Key)                 {}
func (failing) Ping(context.Context) error                           { return ErrFailing }
func (failing) Close() error                                         { return nil }

// Slow returns c with every call but Close preceded by a wait of delay, or until
// the context ends; a call whose context ended is not carried out.
func Slow(c cache.Cache, delay time.Duration) cache.Cache { return &slow{c, delay} }

type slow struct {
	cache.Cache
	delay time.Duration
}

func (s *slow) wait(ctx context.Context) error {
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Get(ctx context.Context, k cache.Key) (cache.Mapping, bool) {
	if s.wait(ctx) != nil {
		return cache.Mapping{}, false
	}
	return s.Cache.Get(ctx, k)
}

func (s *slow) Set(ctx context.Context, m cache.Mapping, keys ...cache.Key) {
	if s.wait(ctx) == nil {
		s.Cache.Set(ctx, m, keys...)
	}
}

func (s *slow) Delete(ctx context.Context, keys ...cache.Key) {
	if s.wait(ctx) == nil {
		s.Cache.Delete(ctx, keys...)
	}
}

func (s *slow) Ping(ctx context.Context) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Cache.Ping(ctx)
}

// Lying returns a cache over c that mostly answers Get with something else than
// what was stored: another person's mapping, of this tenant or of another one,
// an older one of the same person, an invented one, or nothing. Deleted
// mappings come back. It lies by seed, so that a failure can be repeated when
// calls come in the same order. It is safe for concurrent use.
func Lying(c cache.Cache, seed uint64) *Liar {
	return &Liar{inner: c, rng: rand.New(rand.NewPCG(seed, seed)), history: map[cache.Key][]cache.Mapping{}}
}

// Liar is what Lying returns.
type Liar struct {
	inner cache.Cache

	mu      sync.Mutex
	rng     *rand.Rand
	history map[cache.Key][]cache.Mapping // what was ever stored
	keys    []cache.Key                   // of history, in the order they came
	lies    int
}

// liarMemory bounds how many keys a Liar remembers.
const liarMemory = 10_000

// Lies reports how many answers were lies.
func (l *Liar) Lies() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lies
}

// Get implements cache.Cache.
func (l *Liar) Get(ctx context.Context, k cache.Key) (cache.Mapping, bool) {
	truth, known := l.inner.Get(ctx, k)
	l.mu.Lock()
	defer l.mu.Unlock()
	said, ok := l.answer(k, truth, known)
	if said != truth || ok != known {
		l.lies++
	}
	return said, ok
}

func (l *Liar) answer(k cache.Key, truth cache.Mapping, known bool) (cache.Mapping, bool) {
	switch l.rng.IntN(8) {
	case 0:
		return truth, known
	case 1:
		return cache.Mapping{}, false
	case 2: // something true once
		if past := l.history[k]; len(past) > 0 {
			return past[l.rng.IntN(len(past))], true
		}
	case 3:
		return cache.Mapping{ID: "00000000-0000-5000-8000-000000000000", UserID: 1 + l.rng.Int64N(1000), Version: math.MaxInt64}, true
	case 4:
		truth.Version = math.MaxInt64
		truth.UserID++
		return truth, true
	}
	if len(l.keys) == 0 {
		return truth, known
	}
	past := l.history[l.keys[l.rng.IntN(len(l.keys))]]
	return past[len(past)-1], true
}

// Set implements cache.Cache.
func (l *Liar) Set(ctx context.Context, m cache.Mapping, keys ...cache.Key) {
	l.inner.Set(ctx, m, keys...)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		past, seen := l.history[k]
		switch {
		case !seen && len(l.keys) >= liarMemory:
			continue
		case !seen:
			l.keys = append(l.keys, k)
		case len(past) >= 8:
			past = past[1:]
		}
		l.history[k] = append(past, m)
	}
}

// Delete implements cache.Cache.
func (l *Liar) Delete(ctx context.Context, keys ...cache.Key) { l.inner.Delete(ctx, keys...) }

// Ping implements cache.Cache. It says that all is well.
func (l *Liar) Ping(context.Context) error { return nil }

// Close implements cache.Cache.
func (l *Liar) Close() error { return l.inner.Close() }
