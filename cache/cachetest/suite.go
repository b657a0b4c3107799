// Package cachetest holds what every cache.Cache must do, and caches that
// misbehave on purpose for the tests of whoever uses one.
package cachetest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sharearefund/scim-bridge/cache"
	"pgregory.net/rapid"
)

// Opts says how to test one implementation.
type Opts struct {
	// New returns an empty cache; Run closes it. Required.
	New func(t testing.TB) cache.Cache
	// TTL is how long the caches that New returns keep an entry at most, and
	// FastForward moves their clock. Both are required unless NoExpiry is set.
	TTL         time.Duration
	FastForward func(d time.Duration)
	// NoExpiry says why time cannot be moved; tests of expiry then do not run.
	NoExpiry string
}

// Run runs the suite.
func Run(t *testing.T, o Opts) {
	t.Helper()
	switch {
	case o.New == nil:
		t.Fatal("Opts.New is missing")
	case (o.FastForward == nil || o.TTL == 0) == (o.NoExpiry == ""):
		t.Fatal("set either Opts.TTL and Opts.FastForward, or Opts.NoExpiry")
	}
	for _, test := range suite {
		t.Run(test.name, func(t *testing.T) {
			if test.expiry && o.NoExpiry != "" {
				t.Skip(o.NoExpiry)
			}
			test.run(t, o)
		})
	}
}

var suite = []struct {
	name   string
	expiry bool
	run    func(*testing.T, Opts)
}{
	{"it misses what was never stored", false, testMiss},
	{"it returns mappings whole", false, testRoundTrip},
	{"it finds a mapping under each of its keys", false, testAllKeys},
	{"it keeps distinct keys apart", false, testDistinctKeys},
	{"it never replaces a newer version", false, testVersions},
	{"it forgets what is deleted and nothing else", false, testDelete},
	{"it accepts no keys at all", false, testNoKeys},
	{"it forgets after the TTL", true, testExpiry},
	{"it takes an older version after the newer one expired", true, testVersionAfterExpiry},
	{"it answers the truth or nothing for a cancelled context", false, testCancelled},
	{"it agrees with a map", false, testModel},
	{"it never mixes keys up under load", false, testConcurrent},
	{"it stays quiet after Close", false, testClose},
}

func (o Opts) open(t testing.TB) cache.Cache {
	t.Helper()
	c := o.New(t)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func want(t testing.TB, c cache.Cache, k cache.Key, m cache.Mapping) {
	t.Helper()
	got, ok := c.Get(t.Context(), k)
	if !ok {
		t.Fatalf("Get(%s) misses, want %+v", show(k), m)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Fatalf("Get(%s) (-want +got):\n%s", show(k), diff)
	}
}

func wantMiss(t testing.TB, c cache.Cache, k cache.Key) {
	t.Helper()
	if got, ok := c.Get(t.Context(), k); ok || got != (cache.Mapping{}) {
		t.Fatalf("Get(%s) = %+v, %t; want a miss", show(k), got, ok)
	}
}

func show(k cache.Key) string {
	if len(k.Value) > 60 {
		k.Value = fmt.Sprintf("%s… (%d bytes)", k.Value[:60], len(k.Value))
	}
	return fmt.Sprintf("%q/%s/%q", k.Tenant, k.Kind, k.Value)
}

func userKey(name string) cache.Key {
	return cache.Key{Tenant: "acme", Kind: cache.KindUserName, Value: name}
}

func testMiss(t *testing.T, o Opts) {
	wantMiss(t, o.open(t), userKey("nobody@acme.test"))
}

func testRoundTrip(t *testing.T, o Opts) {
	c := o.open(t)
	for name, m := range map[string]cache.Mapping{
		"zero":         {},
		"account":      {ID: "3f1c", UserID: 4021, Version: 7},
		"invite":       {ID: "3f1c", InviteID: "inv_9", Version: 1},
		"greatest":     {ID: "x", UserID: math.MaxInt64, Version: math.MaxInt64},
		"least":        {ID: "x", UserID: math.MinInt64, Version: math.MinInt64},
		"above 2^53":   {ID: "x", UserID: 1<<53 + 1, Version: 1<<53 + 1},
		"strange ids":  {ID: "a\x00:{}\r\n\xff", InviteID: "\x00", Version: 3},
		"long ids":     {ID: strings.Repeat("i", 10_000), InviteID: strings.Repeat("j", 10_000), Version: 3},
		"id in invite": {InviteID: "3f1c", Version: 7},
	} {
		c.Set(t.Context(), m, userKey(name))
		want(t, c, userKey(name), m)
	}
}

func testAllKeys(t *testing.T, o Opts) {
	c := o.open(t)
	m := cache.Mapping{ID: "3f1c", UserID: 4021, Version: 7}
	var keys []cache.Key
	for kind := cache.KindID; kind <= cache.KindUserID; kind++ {
		keys = append(keys, cache.Key{Tenant: "acme", Kind: kind, Value: "v"})
	}
	keys = append(keys, cache.Key{Tenant: "globex", Kind: cache.KindID, Value: "v"})
	c.Set(t.Context(), m, keys...)
	for _, k := range keys {
		want(t, c, k, m)
	}
	c.Delete(t.Context(), keys...)
	for _, k := range keys {
		wantMiss(t, c, k)
	}
}

// Awkward are keys that a careless encoding would confuse.
func Awkward() []cache.Key {
	parts := []string{
		"", "a", "b", "ab", "A", ":", "::", "a:b", "a:", ":b", "{a}", "{", "}", "{}", "{a", "a}", "}:id:",
		"\x00", "a\x00", "\x00a", "a\x00b", "\n", "a\r\nb", "*", "?", "[a]", "~", "é", "e\u0301", "\xff", "\xff\xfe",
		"1", "\x01", "\x01a", "user_name", "a:user_name:b", "\x01a\x02b", "acme", " ",
		strings.Repeat("x", 63), strings.Repeat("x", 64), strings.Repeat("x", 10_000), strings.Repeat("x", 10_000) + "y",
	}
	var keys []cache.Key
	for i, a := range parts {
		for j, b := range parts {
			kind := cache.Kind(1 + (i+j)%5)
			keys = append(keys, cache.Key{Tenant: a, Kind: kind, Value: b})
		}
		for kind := range cache.Kind(8) {
			keys = append(keys, cache.Key{Tenant: "kinds", Kind: kind, Value: a})
		}
	}
	return keys
}

func testDistinctKeys(t *testing.T, o Opts) {
	c := o.open(t)
	keys := Awkward()
	for i, k := range keys {
		c.Set(t.Context(), cache.Mapping{ID: fmt.Sprint(i), UserID: int64(i), Version: 1}, k)
	}
	for i, k := range keys {
		want(t, c, k, cache.Mapping{ID: fmt.Sprint(i), UserID: int64(i), Version: 1})
	}
}

func testVersions(t *testing.T, o Opts) {
	c := o.open(t)
	at := func(version int64) cache.Mapping {
		return cache.Mapping{ID: fmt.Sprintf("v%d", version), UserID: version, Version: version}
	}
	for i, versions := range [][2]int64{
		{1, 2}, {9, 10}, {99, 100}, {0, 1}, {-1, 0}, {-10, -9}, {-1, 1},
		{1<<53 - 1, 1 << 53}, {1 << 53, 1<<53 + 1}, {math.MaxInt64 - 1, math.MaxInt64}, {math.MinInt64, math.MinInt64 + 1},
	} {
		older, newer := at(versions[0]), at(versions[1])
		k, other := userKey(fmt.Sprint("up", i)), userKey(fmt.Sprint("down", i))
		c.Set(t.Context(), older, k)
		c.Set(t.Context(), newer, k, other)
		want(t, c, k, newer)
		c.Set(t.Context(), older, k, other)
		want(t, c, k, newer)
		want(t, c, other, newer)
	}
	k := userKey("same")
	c.Set(t.Context(), cache.Mapping{ID: "first", Version: 5}, k)
	c.Set(t.Context(), cache.Mapping{ID: "second", Version: 5}, k)
	want(t, c, k, cache.Mapping{ID: "second", Version: 5})
}

func testDelete(t *testing.T, o Opts) {
	c := o.open(t)
	m := cache.Mapping{ID: "3f1c", Version: 5}
	c.Set(t.Context(), m, userKey("a"), userKey("b"), userKey("c"))
	c.Delete(t.Context(), userKey("a"), userKey("never stored"), userKey("b"))
	wantMiss(t, c, userKey("a"))
	wantMiss(t, c, userKey("b"))
	want(t, c, userKey("c"), m)
	older := cache.Mapping{ID: "3f1c", Version: 4}
	c.Set(t.Context(), older, userKey("a"))
	want(t, c, userKey("a"), older)
}

func testNoKeys(t *testing.T, o Opts) {
	c := o.open(t)
	c.Set(t.Context(), cache.Mapping{ID: "3f1c"})
	c.Delete(t.Context())
	if err := c.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v", err)
	}
}

func testExpiry(t *testing.T, o Opts) {
	c := o.open(t)
	m := cache.Mapping{ID: "3f1c", Version: 5}
	c.Set(t.Context(), m, userKey("a"), userKey("b"))
	o.FastForward(o.TTL / 2)
	want(t, c, userKey("a"), m)
	c.Set(t.Context(), m, userKey("b"))
	o.FastForward(o.TTL/2 + o.TTL/5) // TTLs may be spread by a tenth
	wantMiss(t, c, userKey("a"))
	want(t, c, userKey("b"), m)
	o.FastForward(o.TTL)
	wantMiss(t, c, userKey("b"))
}

func testVersionAfterExpiry(t *testing.T, o Opts) {
	c := o.open(t)
	c.Set(t.Context(), cache.Mapping{ID: "new", Version: 5}, userKey("a"))
	o.FastForward(2 * o.TTL)
	older := cache.Mapping{ID: "old", Version: 4}
	c.Set(t.Context(), older, userKey("a"))
	want(t, c, userKey("a"), older)
}

func testCancelled(t *testing.T, o Opts) {
	c := o.open(t)
	m := cache.Mapping{ID: "3f1c", Version: 5}
	c.Set(t.Context(), m, userKey("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, ok := c.Get(ctx, userKey("a")); ok && got != m {
		t.Fatalf("Get = %+v, want %+v or a miss", got, m)
	}
	if got, ok := c.Get(ctx, userKey("b")); ok {
		t.Fatalf("Get = %+v, want a miss", got)
	}
	c.Set(ctx, cache.Mapping{ID: "later", Version: 6}, userKey("b"))
	c.Delete(ctx, userKey("b"))
	want(t, c, userKey("a"), m)
}

func testModel(t *testing.T, o Opts) {
	c := o.open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		tenants := []string{fmt.Sprintf("one%d", run), fmt.Sprintf("two%d", run)}
		key := rapid.Custom(func(rt *rapid.T) cache.Key {
			return cache.Key{
				Tenant: rapid.SampledFrom(tenants).Draw(rt, "tenant"),
				Kind:   cache.Kind(rapid.IntRange(1, 2).Draw(rt, "kind")),
				Value:  rapid.SampledFrom([]string{"", "a", "b", "{a}:b\x00"}).Draw(rt, "value"),
			}
		})
		model := map[cache.Key]cache.Mapping{}
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				k := key.Draw(rt, "key")
				m, ok := model[k]
				if got, gotOK := c.Get(t.Context(), k); got != m || gotOK != ok {
					rt.Fatalf("Get(%s) = %+v, %t; want %+v, %t", show(k), got, gotOK, m, ok)
				}
			},
			"set": func(rt *rapid.T) {
				m := cache.Mapping{
					ID:      rapid.String().Draw(rt, "id"),
					UserID:  rapid.Int64().Draw(rt, "user"),
					Version: rapid.Int64Range(-3, 12).Draw(rt, "version"),
				}
				keys := rapid.SliceOfN(key, 0, 4).Draw(rt, "keys")
				c.Set(t.Context(), m, keys...)
				for _, k := range keys {
					if old, ok := model[k]; !ok || old.Version <= m.Version {
						model[k] = m
					}
				}
			},
			"delete": func(rt *rapid.T) {
				keys := rapid.SliceOfN(key, 0, 3).Draw(rt, "keys")
				c.Delete(t.Context(), keys...)
				for _, k := range keys {
					delete(model, k)
				}
			},
		})
	})
}

func testConcurrent(t *testing.T, o Opts) {
	c := o.open(t)
	const workers, rounds, people = 8, 400, 50
	id := func(n int) string { return fmt.Sprintf("person-%d", n) }
	key := func(n int) cache.Key {
		return cache.Key{Tenant: fmt.Sprintf("tenant-%d", n%3), Kind: cache.KindID, Value: id(n)}
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			newest := map[int]int64{}
			for round := range rounds {
				n := rng.IntN(people)
				switch rng.IntN(8) {
				case 0:
					c.Set(t.Context(), cache.Mapping{ID: id(n), UserID: int64(n), Version: int64(round)}, key(n))
				case 1:
					// Deleting would let versions go back, so only this
					// worker's own person is deleted.
					own := cache.Key{Tenant: "own", Kind: cache.KindID, Value: fmt.Sprint(w)}
					c.Set(t.Context(), cache.Mapping{ID: fmt.Sprint(w)}, own)
					c.Delete(t.Context(), own)
				default:
					m, ok := c.Get(t.Context(), key(n))
					if !ok {
						continue
					}
					if m.ID != id(n) || m.UserID != int64(n) {
						t.Errorf("Get(%s) = %+v, which is of another key", show(key(n)), m)
					}
					if m.Version < newest[n] {
						t.Errorf("Get(%s) went back from version %d to %d", show(key(n)), newest[n], m.Version)
					}
					newest[n] = m.Version
				}
			}
		})
	}
	wg.Wait()
}

func testClose(t *testing.T, o Opts) {
	c := o.New(t)
	c.Set(t.Context(), cache.Mapping{ID: "3f1c"}, userKey("a"))
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		wantMiss(t, c, userKey("a"))
		c.Set(t.Context(), cache.Mapping{ID: "3f1c"}, userKey("a"))
		c.Delete(t.Context(), userKey("a"))
		wantMiss(t, c, userKey("a"))
	}
}
