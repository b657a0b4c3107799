package cachetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
)

func TestFailingKnowsNothing(t *testing.T) {
	c := Failing()
	c.Set(t.Context(), cache.Mapping{ID: "3f1c"}, userKey("a"))
	wantMiss(t, c, userKey("a"))
	if err := c.Ping(t.Context()); !errors.Is(err, ErrFailing) {
		t.Fatalf("Ping = %v, want %v", err, ErrFailing)
	}
}

func TestSlowWaitsOrGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cache.Mapping{ID: "3f1c"}
		inner := cache.NewMemory(cache.MemoryOptions{})
		inner.Set(t.Context(), m, userKey("a"))
		c := Slow(inner, 2*time.Second)
		start := time.Now()
		want(t, c, userKey("a"), m)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Get took %s, want 2s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := c.Get(ctx, userKey("a")); ok {
			t.Error("Get answered after its context ended")
		}
		c.Set(ctx, m, userKey("b"))
		c.Delete(ctx, userKey("a"))
		if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ping = %v, want the context's error", err)
		}
		want(t, inner, userKey("a"), m)
		wantMiss(t, inner, userKey("b"))
	})
}

func TestLyingTellsEveryKindOfLie(t *testing.T) {
	c := Lying(cache.NewMemory(cache.MemoryOptions{}), 1)
	key := func(tenant string, n int) cache.Key {
		return cache.Key{Tenant: tenant, Kind: cache.KindID, Value: fmt.Sprint(n)}
	}
	for n := range 20 {
		for _, tenant := range []string{"acme", "globex"} {
			c.Set(t.Context(), cache.Mapping{ID: fmt.Sprint(tenant, n), Version: 1}, key(tenant, n))
			c.Set(t.Context(), cache.Mapping{ID: fmt.Sprint(tenant, n), Version: 2}, key(tenant, n))
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		m, ok := c.Get(t.Context(), key("acme", 3))
		switch {
		case !ok:
			seen["miss"] = true
		case m.ID == "acme3" && m.Version == 2:
			seen["truth"] = true
		case m.ID == "acme3" && m.Version == 1:
			seen["past"] = true
		case m.ID == "acme3":
			seen["forged"] = true
		case len(m.ID) > 4 && m.ID[:4] == "acme":
			seen["other person"] = true
		case len(m.ID) > 6 && m.ID[:6] == "globex":
			seen["other tenant"] = true
		default:
			seen["invented"] = true
		}
	}
	if len(seen) != 7 || c.Lies() < 500 {
		t.Fatalf("saw %v and %d lies, want seven kinds of answer and mostly lies", seen, c.Lies())
	}
}
