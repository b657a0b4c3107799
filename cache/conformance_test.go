package cache_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

const realTime = "a real server's clock cannot be moved"

// clock is moved by hand.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// newRedis opens a cache with timeouts that a busy machine meets, unless o says
// otherwise.
func newRedis(t testing.TB, o cache.RedisOptions) *cache.Redis {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.ProbeInterval == 0 {
		o.ProbeInterval = 20 * time.Millisecond
	}
	c, err := cache.NewRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func TestMemoryConforms(t *testing.T) {
	var c clock
	cachetest.Run(t, cachetest.Opts{
		New: func(testing.TB) cache.Cache {
			return cache.NewMemory(cache.MemoryOptions{TTL: time.Hour, Now: c.Now})
		},
		TTL: time.Hour, FastForward: c.Advance,
	})
}

func TestRedisConformsOnMiniredis(t *testing.T) {
	server := miniredis.RunT(t)
	cachetest.Run(t, cachetest.Opts{
		New: func(t testing.TB) cache.Cache {
			server.FlushAll()
			return newRedis(t, cache.RedisOptions{URL: "redis://" + server.Addr(), TTL: time.Hour})
		},
		TTL: time.Hour, FastForward: server.FastForward,
	})
}

func TestRedisConformsOnServer(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Password: "correct horse"})
	cachetest.Run(t, cachetest.Opts{
		New: func(t testing.TB) cache.Cache {
			server.Do("FLUSHALL")
			return newRedis(t, cache.RedisOptions{URL: server.URL(), Password: "correct horse", HashKey: []byte("pepper")})
		},
		NoExpiry: realTime,
	})
}

func TestRedisConformsOnCluster(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Cluster: true})
	cachetest.Run(t, cachetest.Opts{
		New: func(t testing.TB) cache.Cache {
			server.Do("FLUSHALL")
			return newRedis(t, cache.RedisOptions{URL: server.URL()})
		},
		NoExpiry: realTime,
	})
}

func TestLayeredConforms(t *testing.T) {
	var c clock
	server := miniredis.RunT(t)
	cachetest.Run(t, cachetest.Opts{
		New: func(t testing.TB) cache.Cache {
			server.FlushAll()
			return cache.NewLayered(
				cache.NewMemory(cache.MemoryOptions{TTL: time.Hour, Now: c.Now}),
				newRedis(t, cache.RedisOptions{URL: "redis://" + server.Addr(), TTL: time.Hour}))
		},
		TTL: time.Hour,
		FastForward: func(d time.Duration) {
			c.Advance(d)
			server.FastForward(d)
		},
	})
}

func TestSlowConforms(t *testing.T) {
	var c clock
	cachetest.Run(t, cachetest.Opts{
		New: func(testing.TB) cache.Cache {
			return cachetest.Slow(cache.NewMemory(cache.MemoryOptions{TTL: time.Hour, Now: c.Now}), 0)
		},
		TTL: time.Hour, FastForward: c.Advance,
	})
}
