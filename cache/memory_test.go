package cache_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
)

func idKey(n int) cache.Key {
	return cache.Key{Tenant: "acme", Kind: cache.KindID, Value: fmt.Sprintf("3f1c0000-0000-5000-8000-%012d", n)}
}

func TestMemoryStaysWithinItsBound(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 10, 1000} {
		c := cache.NewMemory(cache.MemoryOptions{MaxEntries: limit})
		for n := range 5 * limit {
			c.Set(t.Context(), cache.Mapping{ID: "x"}, idKey(n))
			c.Get(t.Context(), idKey(n/2))
			if c.Len() > max(2, limit) {
				t.Fatalf("limit %d: holds %d keys", limit, c.Len())
			}
		}
		if _, ok := c.Get(t.Context(), idKey(5*limit-1)); !ok {
			t.Errorf("limit %d: the last key stored is gone", limit)
		}
	}
}

func TestMemoryKeepsWhatIsUsed(t *testing.T) {
	const limit = 100
	c := cache.NewMemory(cache.MemoryOptions{MaxEntries: limit})
	c.Set(t.Context(), cache.Mapping{ID: "used"}, idKey(-1))
	c.Set(t.Context(), cache.Mapping{ID: "unused"}, idKey(-2))
	for n := range 10 * limit {
		c.Set(t.Context(), cache.Mapping{ID: "x"}, idKey(n))
		if n%(limit/4) == 0 {
			if _, ok := c.Get(t.Context(), idKey(-1)); !ok {
				t.Fatalf("a key in use was forgotten after %d others", n)
			}
		}
	}
	if _, ok := c.Get(t.Context(), idKey(-2)); ok {
		t.Error("a key that nobody used outlived 1000 others")
	}
}

func TestMemoryKeepsItsHalfMostRecent(t *testing.T) {
	const limit = 100
	for stored := 1; stored < 4*limit; stored++ {
		c := cache.NewMemory(cache.MemoryOptions{MaxEntries: limit})
		for n := range stored {
			c.Set(t.Context(), cache.Mapping{ID: "x"}, idKey(n))
		}
		for n := max(0, stored-limit/2); n < stored; n++ {
			if _, ok := c.Get(t.Context(), idKey(n)); !ok {
				t.Fatalf("of %d keys stored, number %d is gone", stored, n)
			}
		}
	}
}

// A user name is cut out of a request body; the body must not live as long.
func TestMemoryDoesNotKeepRequestsAlive(t *testing.T) {
	const people, body = 200, 1 << 20
	c := cache.NewMemory(cache.MemoryOptions{})
	for n := range people {
		request := strings.Repeat(fmt.Sprintf("%04d", n), body/4)
		c.Set(t.Context(), cache.Mapping{ID: request[:36], InviteID: request[40:50]},
			cache.Key{Tenant: request[4:8], Kind: cache.KindUserName, Value: request[100:120]},
			cache.Key{Tenant: request[4:8], Kind: cache.KindEmail, Value: ""},
			cache.Key{Tenant: "", Kind: cache.KindEmail, Value: request[200:220]})
	}
	var after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > people*body/4 {
		t.Errorf("%d MB are alive after %d requests of 1 MB were cached", after.HeapAlloc>>20, people)
	}
	runtime.KeepAlive(c)
}

func TestMemoryTellsItsObserver(t *testing.T) {
	var got []string
	c := cache.NewMemory(cache.MemoryOptions{Observe: func(op cache.Op, outcome cache.Outcome, took time.Duration) {
		got = append(got, fmt.Sprint(op, " ", outcome))
		if took < 0 {
			t.Errorf("%s took %s", op, took)
		}
	}})
	c.Get(t.Context(), idKey(1))
	c.Set(t.Context(), cache.Mapping{ID: "x"}, idKey(1))
	c.Get(t.Context(), idKey(1))
	c.Delete(t.Context(), idKey(1))
	want := "get miss, set ok, get hit, delete ok"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("observed %q, want %q", s, want)
	}
}
