package cache_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

// only returns the one key that the server holds.
func only(t *testing.T, s *redistest.Server) string {
	t.Helper()
	keys, _ := s.Do("KEYS", "*").([]any)
	if len(keys) != 1 {
		t.Fatalf("the server holds %q, want one key", keys)
	}
	return keys[0].(string)
}

// What does not verify is a miss, is deleted, and never stands in the way.
func TestRedisRepairsBadEntries(t *testing.T) {
	tests := []struct {
		name    string
		spoil   func(s *redistest.Server, key, value string)
		outcome string
	}{
		{"garbage", func(s *redistest.Server, key, _ string) { s.Do("SET", key, "\x00\xff garbage") }, "get corrupt"},
		{"empty", func(s *redistest.Server, key, _ string) { s.Do("SET", key, "") }, "get corrupt"},
		{"truncated", func(s *redistest.Server, key, v string) { s.Do("SET", key, v[:len(v)-1]) }, "get corrupt"},
		{"cut to its head", func(s *redistest.Server, key, v string) { s.Do("SET", key, v[:22]) }, "get corrupt"},
		{"extended", func(s *redistest.Server, key, v string) { s.Do("APPEND", key, "x") }, "get corrupt"},
		{"an older schema", func(s *redistest.Server, key, v string) { s.Do("SETRANGE", key, 0, "s0") }, "get corrupt"},
		{"a forged version", func(s *redistest.Server, key, v string) { s.Do("SETRANGE", key, 2, "99999999999999999999") }, "get corrupt"},
		{"10 MB", func(s *redistest.Server, key, _ string) { s.Do("SET", key, strings.Repeat("s1", 5<<20)) }, "get corrupt"},
		{"a list", func(s *redistest.Server, key, _ string) { s.Do("DEL", key); s.Do("LPUSH", key, "x") }, "get corrupt"},
		{"a hash", func(s *redistest.Server, key, v string) { s.Do("DEL", key); s.Do("HSET", key, "f", v) }, "get corrupt"},
		{"a stream", func(s *redistest.Server, key, _ string) { s.Do("DEL", key); s.Do("XADD", key, "*", "f", "v") }, "get corrupt"},
	}
	r := newRedisRig(t, redistest.Options{}, cache.RedisOptions{Timeout: 5 * time.Second})
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.server.Do("FLUSHALL")
			k, m := idKey(i), mappingOf(i)
			r.Set(t.Context(), m, k)
			key := only(t, r.server)
			value := r.server.Do("GET", key).(string)
			before := r.rec.count(tt.outcome)
			tt.spoil(r.server, key, value)
			if got, ok := r.Get(t.Context(), k); ok {
				t.Fatalf("Get = %+v, want a miss", got)
			}
			if got := r.rec.count(tt.outcome) - before; got != 1 {
				t.Errorf("%q was observed %d times, want once", tt.outcome, got)
			}
			if n := r.server.Do("EXISTS", key); n != int64(0) {
				t.Errorf("the bad entry is still there")
			}
			r.Set(t.Context(), m, k)
			if got, ok := r.Get(t.Context(), k); !ok || got != m {
				t.Fatalf("Get = %+v, %t after the repair; want %+v", got, ok, m)
			}
			if strings.HasPrefix(tt.name, "a forged") {
				return // it claims to be newer: only reading tells that it is not
			}
			tt.spoil(r.server, key, value)
			r.Set(t.Context(), m, k)
			if got, ok := r.Get(t.Context(), k); !ok || got != m {
				t.Fatalf("Get = %+v, %t after Set over a bad entry; want %+v", got, ok, m)
			}
		})
	}
}

// A sound entry under another key, as a mix-up of replies or of keys would
// give, is never believed.
func TestRedisRefusesEntriesOfOtherKeys(t *testing.T) {
	r := newRedisRig(t, redistest.Options{}, cache.RedisOptions{})
	ann := cache.Key{Tenant: "acme", Kind: cache.KindUserName, Value: "ann"}
	others := []cache.Key{
		{Tenant: "globex", Kind: cache.KindUserName, Value: "ann"},
		{Tenant: "acme", Kind: cache.KindEmail, Value: "ann"},
		{Tenant: "acme", Kind: cache.KindUserName, Value: "bob"},
	}
	for _, k := range others {
		r.server.Do("FLUSHALL")
		r.Set(t.Context(), mappingOf(1), k)
		from := only(t, r.server)
		value := r.server.Do("GET", from)
		r.Set(t.Context(), mappingOf(2), ann)
		r.server.Do("DEL", from)
		to := only(t, r.server)
		r.server.Do("SET", to, value)
		if got, ok := r.Get(t.Context(), ann); ok {
			t.Errorf("Get = %+v, which was stored under %+v", got, k)
		}
	}
	if got := r.rec.count("get foreign"); got != len(others) {
		t.Errorf("%d foreign entries were observed, want %d", got, len(others))
	}
}

func TestRedisHashKeySeparates(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	one := newRedis(t, cache.RedisOptions{URL: server.URL(), HashKey: []byte("one")})
	two := newRedis(t, cache.RedisOptions{URL: server.URL(), HashKey: []byte("two")})
	three := newRedis(t, cache.RedisOptions{URL: server.URL(), HashKey: []byte("one"), KeyPrefix: "other"})
	one.Set(t.Context(), mappingOf(1), idKey(1))
	for name, c := range map[string]*cache.Redis{"hash key": two, "prefix": three} {
		if m, ok := c.Get(t.Context(), idKey(1)); ok {
			t.Errorf("Get = %+v with another %s, want a miss", m, name)
		}
	}
	if _, ok := one.Get(t.Context(), idKey(1)); !ok {
		t.Error("the entry is gone")
	}
}

func TestRedisTTLIsSpread(t *testing.T) {
	server := miniredis.RunT(t)
	random := 0.0
	c := newRedis(t, cache.RedisOptions{URL: "redis://" + server.Addr(), TTL: time.Hour, Rand: func() float64 { return random }})
	for _, tt := range []struct {
		random float64
		want   time.Duration
	}{{0, 54 * time.Minute}, {0.5, time.Hour}, {0.75, 63 * time.Minute}} {
		server.FlushAll()
		random = tt.random
		c.Set(t.Context(), mappingOf(1), idKey(1))
		if got := server.TTL(server.Keys()[0]); got != tt.want {
			t.Errorf("with %v the entry lives %s, want %s", tt.random, got, tt.want)
		}
	}
}

// Two replicas write versions in any order; the newest one stays.
func TestRedisNewestVersionWins(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	const replicas, versions = 4, 200
	var wg sync.WaitGroup
	for replica := range replicas {
		c := newRedis(t, cache.RedisOptions{URL: server.URL()})
		wg.Go(func() {
			for _, v := range rand.New(rand.NewPCG(uint64(replica), 0)).Perm(versions) {
				c.Set(t.Context(), cache.Mapping{ID: fmt.Sprint(v), Version: int64(v)}, idKey(1), idKey(2))
			}
		})
	}
	wg.Wait()
	c := newRedis(t, cache.RedisOptions{URL: server.URL()})
	want := cache.Mapping{ID: fmt.Sprint(versions - 1), Version: versions - 1}
	for _, k := range []cache.Key{idKey(1), idKey(2)} {
		if got, ok := c.Get(t.Context(), k); !ok || got != want {
			t.Errorf("Get = %+v, %t; want %+v", got, ok, want)
		}
	}
}

// Neither the server nor the log learns who somebody is.
func TestRedisKeepsNamesToItself(t *testing.T) {
	const canary = "ann.canary@acme.test"
	r := newRedisRig(t, redistest.Options{}, cache.RedisOptions{HashKey: []byte("pepper-canary")})
	k := cache.Key{Tenant: "acme", Kind: cache.KindEmail, Value: canary}
	r.Set(t.Context(), mappingOf(1), k)
	key := only(t, r.server)
	value := r.server.Do("GET", key).(string)
	r.server.Do("SET", key, "garbage")
	r.Get(t.Context(), k)
	r.server.Kill()
	for range 10 {
		r.Get(t.Context(), k)
		r.Set(t.Context(), mappingOf(1), k)
	}
	plain := sha256.Sum256([]byte(canary))
	for _, where := range []string{key, value, r.rec.lines()} {
		if strings.Contains(where, "canary") || strings.Contains(where, string(plain[:])) {
			t.Errorf("a name or secret is in %q", where)
		}
	}
	if r.rec.lines() == "" {
		t.Error("nothing was logged")
	}
}

func TestRedisThroughSocketAndSentinel(t *testing.T) {
	t.Run("socket", func(t *testing.T) {
		socket := t.TempDir() + "/r.sock"
		redistest.Start(t, redistest.Options{Args: []string{"--unixsocket", socket}})
		c := newRedis(t, cache.RedisOptions{URL: "unix://" + socket})
		c.Set(t.Context(), mappingOf(1), idKey(1))
		if got, ok := c.Get(t.Context(), idKey(1)); !ok || got != mappingOf(1) {
			t.Errorf("Get = %+v, %t; want %+v", got, ok, mappingOf(1))
		}
	})
	t.Run("sentinel", func(t *testing.T) {
		master := redistest.Start(t, redistest.Options{})
		sentinel := redistest.StartSentinel(t, master, "mymaster")
		c := newRedis(t, cache.RedisOptions{URL: "redis+sentinel://" + sentinel.Addr() + "/mymaster/2"})
		c.Set(t.Context(), mappingOf(1), idKey(1))
		if got, ok := c.Get(t.Context(), idKey(1)); !ok || got != mappingOf(1) {
			t.Errorf("Get = %+v, %t; want %+v", got, ok, mappingOf(1))
		}
	})
}
