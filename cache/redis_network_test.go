package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

// newProxyRig puts a proxy between the cache and its server.
func newProxyRig(t *testing.T) (*redisRig, *redistest.Proxy) {
	t.Helper()
	r := &redisRig{server: redistest.Start(t, redistest.Options{}), rec: &recorder{}}
	proxy := redistest.NewProxy(t, r.server.Addr())
	r.Redis = newRedis(t, cache.RedisOptions{
		URL: "redis://" + proxy.Addr(), Timeout: faultTimeout, Observe: r.rec.observe, PoolSize: 1,
	})
	return r, proxy
}

// One reply that never comes, comes too late, or breaks off costs one answer;
// every later answer is the right one.
func TestRedisLosesOneReply(t *testing.T) {
	for name, fault := range map[string]redistest.Fault{
		"swallowed":            {Swallow: true},
		"late":                 {Delay: 3 * faultTimeout},
		"cut before it":        {CloseAfter: 1},
		"cut after one byte":   {CloseAfter: 2},
		"cut in its middle":    {CloseAfter: 40},
		"swallowed, then shut": {Swallow: true, CloseAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, proxy := newProxyRig(t)
			for n := range 10 {
				r.Set(t.Context(), mappingOf(n), idKey(n))
			}
			isValue := func(reply []byte) bool { return bytes.HasPrefix(reply, []byte("$")) }
			proxy.SetFault(redistest.Once(fault, isValue))
			if m, ok := r.Get(t.Context(), idKey(0)); ok {
				t.Errorf("Get = %+v although its reply was lost", m)
			}
			for n := range 10 {
				if got, ok := r.Get(t.Context(), idKey(n)); !ok || got != mappingOf(n) {
					t.Errorf("Get(%d) = %+v, %t; want %+v", n, got, ok, mappingOf(n))
				}
			}
			proxy.SetFault(redistest.Once(fault, nil))
			renewed := cache.Mapping{ID: "renewed", Version: 2}
			r.Set(t.Context(), renewed, idKey(1), idKey(2))
			// A connection that breaks after the reply takes the next one along.
			misses := 0
			for n := range 3 {
				want := renewed
				if n == 0 {
					want = mappingOf(0)
				}
				got, ok := r.Get(t.Context(), idKey(n))
				if ok && got != want {
					t.Errorf("after a Set whose reply was lost, Get(%d) = %+v, want %+v", n, got, want)
				}
				if !ok {
					misses++
				}
			}
			if misses > 1 {
				t.Errorf("one lost reply cost %d answers", misses)
			}
		})
	}
}

// Every answer belongs to its key, however many callers leave in the middle of
// a call and however bad the network is.
func TestRedisNeverMixesAnswersUp(t *testing.T) {
	answered, workers := int64(100_000), 16
	if testing.Short() {
		answered = 10_000
	}
	server := redistest.Start(t, redistest.Options{})
	proxy := redistest.NewProxy(t, server.Addr())
	rec := &recorder{}
	c := newRedis(t, cache.RedisOptions{URL: "redis://" + proxy.Addr(), Timeout: faultTimeout, Observe: rec.observe, PoolSize: 8})
	const people = 500
	key := func(n int) cache.Key {
		return cache.Key{Tenant: fmt.Sprint("tenant", n%7), Kind: cache.KindID, Value: fmt.Sprint(n)}
	}
	for n := range people {
		c.Set(t.Context(), mappingOf(n), key(n))
	}
	proxy.SetFault(func([]byte) redistest.Fault {
		switch rand.IntN(2000) {
		case 0:
			return redistest.Fault{Swallow: true}
		case 1:
			return redistest.Fault{CloseAfter: 1 + rand.IntN(100)}
		case 2, 3:
			return redistest.Fault{Delay: faultTimeout * 3 / 2}
		case 4, 5, 6, 7, 8, 9:
			return redistest.Fault{Delay: time.Millisecond}
		}
		return redistest.Fault{}
	})
	var hits, left atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 3))
			for hits.Load() < answered && t.Context().Err() == nil && !t.Failed() {
				n := rng.IntN(people)
				ctx, cancel := context.WithCancel(t.Context())
				switch rng.IntN(10) {
				case 0: // in the middle of the call, likely
					time.AfterFunc(time.Duration(rng.IntN(300))*time.Microsecond, cancel)
					left.Add(1)
				case 1:
					ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(300))*time.Microsecond)
					left.Add(1)
				}
				if rng.IntN(20) == 0 {
					c.Set(ctx, mappingOf(n), key(n))
				}
				if m, ok := c.Get(ctx, key(n)); ok {
					hits.Add(1)
					if m != mappingOf(n) {
						t.Errorf("Get(%d) = %+v, want %+v", n, m, mappingOf(n))
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	for _, what := range []string{"get foreign", "get corrupt"} {
		if got := rec.count(what); got != 0 {
			t.Errorf("%q was observed %d times: replies were mixed up on a connection", what, got)
		}
	}
	if rec.count("get timeout")+rec.count("get error") == 0 || rec.count("get cancelled") == 0 {
		t.Errorf("%d timeouts, %d errors, %d cancelled: the network was not bad enough to prove anything",
			rec.count("get timeout"), rec.count("get error"), rec.count("get cancelled"))
	}
	t.Logf("%d right answers, %d callers in a hurry, %d timeouts, %d errors, %d cancelled, %d bypassed", hits.Load(), left.Load(),
		rec.count("get timeout"), rec.count("get error"), rec.count("get cancelled"), rec.count("get bypassed"))
}
