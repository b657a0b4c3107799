package cache_test

import (
	"runtime"
	"testing"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

func keysOf(n int) []cache.Key {
	k := idKey(n)
	return []cache.Key{
		k,
		{Tenant: "acme", Kind: cache.KindUserName, Value: k.Value + "@acme.test"},
		{Tenant: "acme", Kind: cache.KindEmail, Value: k.Value + "@acme.test"},
		{Tenant: "acme", Kind: cache.KindExternalID, Value: k.Value},
		{Tenant: "acme", Kind: cache.KindUserID, Value: k.Value[30:]},
	}
}

func BenchmarkMemoryGet(b *testing.B) {
	c := cache.NewMemory(cache.MemoryOptions{})
	keys := keysOf(1)
	c.Set(b.Context(), mappingOf(1), keys...)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Get(b.Context(), keys[1]); !ok {
			b.Fatal("miss")
		}
	}
}

func BenchmarkMemoryGetParallel(b *testing.B) {
	c := cache.NewMemory(cache.MemoryOptions{})
	keys := keysOf(1)
	c.Set(b.Context(), mappingOf(1), keys...)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Get(b.Context(), keys[1])
		}
	})
}

func BenchmarkMemorySetPerson(b *testing.B) {
	c := cache.NewMemory(cache.MemoryOptions{})
	var people [1000][]cache.Key
	for n := range people {
		people[n] = keysOf(n)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.Set(b.Context(), mappingOf(n), people[n%1000]...)
	}
}

// BenchmarkMemoryFull reports what a full cache of the default size weighs.
func BenchmarkMemoryFull(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := cache.NewMemory(cache.MemoryOptions{})
		for n := range 20_000 {
			c.Set(b.Context(), mappingOf(n), keysOf(n)...)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(c.Len()), "bytes/key")
		runtime.KeepAlive(c)
	}
}

func benchmarkRedis(b *testing.B) *cache.Redis {
	return newRedis(b, cache.RedisOptions{URL: redistest.Start(b, redistest.Options{}).URL(), HashKey: []byte("pepper")})
}

func BenchmarkRedisGet(b *testing.B) {
	c := benchmarkRedis(b)
	c.Set(b.Context(), mappingOf(1), idKey(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Get(b.Context(), idKey(1)); !ok {
			b.Fatal("miss")
		}
	}
}

func BenchmarkRedisSetPerson(b *testing.B) {
	c := benchmarkRedis(b)
	keys := keysOf(1)
	b.ReportAllocs()
	for b.Loop() {
		c.Set(b.Context(), mappingOf(1), keys...)
	}
}

// BenchmarkRedisBypassed is what a broken Redis costs each call.
func BenchmarkRedisBypassed(b *testing.B) {
	server := redistest.Start(b, redistest.Options{})
	c := newRedis(b, cache.RedisOptions{URL: server.URL()})
	server.Kill()
	for range 10 {
		c.Get(b.Context(), idKey(1))
	}
	k := idKey(1)
	b.ReportAllocs()
	for b.Loop() {
		c.Get(b.Context(), k)
	}
}
