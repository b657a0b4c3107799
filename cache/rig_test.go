package cache_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

// recorder counts outcomes and keeps log lines.
type recorder struct {
	mu       sync.Mutex
	outcomes map[string]int
	log      bytes.Buffer
}

func (r *recorder) observe(op cache.Op, outcome cache.Outcome, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcomes == nil {
		r.outcomes = map[string]int{}
	}
	r.outcomes[fmt.Sprint(op, " ", outcome)]++
}

func (r *recorder) count(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[what]
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *recorder) lines() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// redisRig is a cache on a real server.
type redisRig struct {
	*cache.Redis
	server *redistest.Server
	rec    *recorder
}

// faultTimeout is short, as tests wait for it, and long enough for a busy
// machine to answer in.
const faultTimeout = 100 * time.Millisecond

func newRedisRig(t *testing.T, so redistest.Options, o cache.RedisOptions) *redisRig {
	t.Helper()
	r := &redisRig{server: redistest.Start(t, so), rec: &recorder{}}
	if o.URL == "" {
		o.URL = r.server.URL()
	}
	if o.Timeout == 0 {
		o.Timeout = faultTimeout
	}
	o.Observe, o.Logger = r.rec.observe, slog.New(slog.NewTextHandler(r.rec, nil))
	r.Redis = newRedis(t, o)
	return r
}

// eventually polls for what another process or goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func mappingOf(n int) cache.Mapping {
	return cache.Mapping{ID: fmt.Sprintf("person-%d", n), UserID: int64(n), Version: 1}
}

// works waits until what is stored is found.
func (r *redisRig) works(t *testing.T) {
	t.Helper()
	eventually(t, "nothing stored is found again", func() bool {
		r.Set(t.Context(), mappingOf(7), idKey(7))
		got, ok := r.Get(t.Context(), idKey(7))
		if ok && got != mappingOf(7) {
			t.Fatalf("Get = %+v, want %+v", got, mappingOf(7))
		}
		return ok
	})
	eventually(t, "Ping fails", func() bool { return r.Ping(t.Context()) == nil })
}
