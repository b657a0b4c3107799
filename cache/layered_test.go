package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest"
)

func TestLayeredAsksFarOnceAndRemembers(t *testing.T) {
	var asked int
	near := cache.NewMemory(cache.MemoryOptions{})
	far := cache.NewMemory(cache.MemoryOptions{Observe: func(op cache.Op, _ cache.Outcome, _ time.Duration) {
		if op == cache.OpGet {
			asked++
		}
	}})
	c := cache.NewLayered(near, far)
	m := cache.Mapping{ID: "3f1c", Version: 2}
	far.Set(t.Context(), m, idKey(1))
	for range 5 {
		if got, ok := c.Get(t.Context(), idKey(1)); !ok || got != m {
			t.Fatalf("Get = %+v, %t; want %+v", got, ok, m)
		}
	}
	if asked != 1 {
		t.Errorf("far was asked %d times for one key, want once", asked)
	}
}

func TestLayeredSeesOtherReplicasAfterNearTTL(t *testing.T) {
	var c clock
	server := miniredis.RunT(t)
	replica := func() *cache.Layered {
		return cache.NewLayered(cache.NewMemory(cache.MemoryOptions{TTL: cache.NearTTL, Now: c.Now}),
			newRedis(t, cache.RedisOptions{URL: "redis://" + server.Addr()}))
	}
	one, two := replica(), replica()
	old, renewed := cache.Mapping{ID: "3f1c", InviteID: "inv_1", Version: 1}, cache.Mapping{ID: "3f1c", UserID: 4021, Version: 2}
	one.Set(t.Context(), old, idKey(1))
	if got, ok := two.Get(t.Context(), idKey(1)); !ok || got != old {
		t.Fatalf("the other replica has %+v, %t; want %+v", got, ok, old)
	}
	one.Set(t.Context(), renewed, idKey(1))
	c.Advance(cache.NearTTL)
	if got, ok := two.Get(t.Context(), idKey(1)); !ok || got != renewed {
		t.Fatalf("after the near TTL the other replica has %+v, %t; want %+v", got, ok, renewed)
	}
	one.Delete(t.Context(), idKey(1))
	if got, ok := one.Get(t.Context(), idKey(1)); ok {
		t.Fatalf("the replica that deleted still has %+v", got)
	}
	c.Advance(cache.NearTTL)
	if got, ok := two.Get(t.Context(), idKey(1)); ok {
		t.Fatalf("after the near TTL the other replica still has %+v", got)
	}
}

// The answer that far gave before a newer Set must not displace it in near.
func TestLayeredLateAnswerDoesNotWin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := cache.NewMemory(cache.MemoryOptions{})
		old, renewed := cache.Mapping{ID: "old", Version: 1}, cache.Mapping{ID: "new", Version: 2}
		far.Set(t.Context(), old, idKey(1))
		c := cache.NewLayered(cache.NewMemory(cache.MemoryOptions{}), lateGet{far})
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Get(t.Context(), idKey(1))
		}()
		synctest.Wait()
		c.Set(t.Context(), renewed, idKey(1))
		<-done
		if got, ok := c.Get(t.Context(), idKey(1)); !ok || got != renewed {
			t.Fatalf("Get = %+v, %t; want %+v", got, ok, renewed)
		}
	})
}

// lateGet gives an answer one second after it became true.
type lateGet struct{ cache.Cache }

func (c lateGet) Get(ctx context.Context, k cache.Key) (cache.Mapping, bool) {
	m, ok := c.Cache.Get(ctx, k)
	time.Sleep(time.Second)
	return m, ok
}

// However slow far is, this process forgets at once, and what a Get brought
// back meanwhile is forgotten too.
func TestLayeredDeletesOnBothSidesOfFar(t *testing.T) {
	near, far := cache.NewMemory(cache.MemoryOptions{}), cache.NewMemory(cache.MemoryOptions{})
	m := cache.Mapping{ID: "3f1c", Version: 1}
	c := cache.NewLayered(near, duringDelete{far, func() {
		if got, ok := near.Get(t.Context(), idKey(1)); ok {
			t.Errorf("near still has %+v while far deletes", got)
		}
		near.Set(t.Context(), m, idKey(1))
	}})
	c.Set(t.Context(), m, idKey(1))
	c.Delete(t.Context(), idKey(1))
	if got, ok := c.Get(t.Context(), idKey(1)); ok {
		t.Errorf("Get = %+v after Delete, want a miss", got)
	}
}

type duringDelete struct {
	cache.Cache
	do func()
}

func (c duringDelete) Delete(ctx context.Context, keys ...cache.Key) {
	c.do()
	c.Cache.Delete(ctx, keys...)
}

func TestLayeredReportsWhatFails(t *testing.T) {
	c := cache.NewLayered(cache.NewMemory(cache.MemoryOptions{}), cachetest.Failing())
	if err := c.Ping(t.Context()); !errors.Is(err, cachetest.ErrFailing) {
		t.Errorf("Ping = %v, want %v", err, cachetest.ErrFailing)
	}
	m := cache.Mapping{ID: "3f1c"}
	c.Set(t.Context(), m, idKey(1))
	if got, ok := c.Get(t.Context(), idKey(1)); !ok || got != m {
		t.Errorf("with a dead far cache Get = %+v, %t; want %+v from the near one", got, ok, m)
	}
}
