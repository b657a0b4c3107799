package cache_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
)

func TestRedisSurvivesFlush(t *testing.T) {
	r := newRedisRig(t, redistest.Options{}, cache.RedisOptions{})
	r.works(t)
	r.server.Do("FLUSHALL")
	r.server.Do("SCRIPT", "FLUSH")
	if m, ok := r.Get(t.Context(), idKey(7)); ok {
		t.Errorf("Get = %+v after FLUSHALL, want a miss", m)
	}
	r.Set(t.Context(), mappingOf(7), idKey(7))
	if m, ok := r.Get(t.Context(), idKey(7)); !ok || m != mappingOf(7) {
		t.Errorf("Get = %+v, %t after the script was forgotten, want %+v", m, ok, mappingOf(7))
	}
}

func TestRedisRecoversFromEachRestart(t *testing.T) {
	for name, so := range map[string]redistest.Options{"standalone": {}, "cluster": {Cluster: true}} {
		t.Run(name, func(t *testing.T) {
			restarts := 20
			if so.Cluster {
				restarts = 3
			}
			r := newRedisRig(t, so, cache.RedisOptions{})
			r.works(t)
			var files int
			for n := range restarts {
				r.server.Kill()
				before := r.rec.count("get bypassed")
				eventually(t, "Redis is not bypassed", func() bool {
					r.Get(t.Context(), idKey(7))
					return r.rec.count("get bypassed") > before
				})
				if err := r.Ping(t.Context()); err == nil {
					t.Fatal("Ping succeeds without a server")
				}
				r.server.Restart()
				r.works(t)
				if n == restarts/2 {
					files = openFiles(t)
				}
			}
			if now := openFiles(t); files > 0 && now > files+3 {
				t.Errorf("%d files are open, %d were after half of the restarts", now, files)
			}
		})
	}
}

// openFiles returns 0 where the system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestRedisDownAtStart(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	server.Kill()
	r := &redisRig{server: server, rec: &recorder{}}
	r.Redis = newRedis(t, cache.RedisOptions{URL: server.URL(), Observe: r.rec.observe})
	r.Set(t.Context(), mappingOf(1), idKey(1))
	if m, ok := r.Get(t.Context(), idKey(1)); ok {
		t.Errorf("Get = %+v without a server, want a miss", m)
	}
	wantError(t, r.Ping(t.Context()), "connection refused")
	server.Restart()
	r.works(t)
}

// A server that hangs costs a few timeouts, then nothing.
func TestRedisHanging(t *testing.T) {
	for name, so := range map[string]redistest.Options{"standalone": {}, "cluster": {Cluster: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRedisRig(t, so, cache.RedisOptions{})
			r.works(t)
			r.server.Pause()
			for n := range 1000 {
				if m, ok := r.Get(t.Context(), idKey(n)); ok {
					t.Fatalf("Get = %+v from a stopped server", m)
				}
			}
			if tried := r.rec.count("get timeout") + r.rec.count("get error"); tried > 5 {
				t.Errorf("%d calls waited for a stopped server, want a few", tried)
			}
			if got := r.rec.count("get bypassed"); got < 990 {
				t.Errorf("%d of 1000 calls were bypassed, want nearly all", got)
			}
			r.server.Resume()
			r.works(t)
		})
	}
}

// A caller who has less time than a call may take does not wait for longer.
func TestRedisHonoursTheCallersDeadline(t *testing.T) {
	r := newRedisRig(t, redistest.Options{}, cache.RedisOptions{Timeout: time.Minute})
	r.works(t)
	r.server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	r.Get(ctx, idKey(7))
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Get took %s for a caller with 50ms, as if the caller had no deadline", took)
	}
	if got := r.rec.count("get cancelled"); got != 1 {
		t.Errorf("%d calls count as cancelled, want 1", got)
	}
}

// Each way in which a real server refuses to work: it is bypassed with its
// reason, and used again as soon as it works.
func TestRedisRefusing(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name        string
		server      redistest.Options
		options     cache.RedisOptions
		spoil, mend func(*testing.T, *redistest.Server)
		wantPing    string
	}{
		{
			name:     "READONLY",
			spoil:    do("REPLICAOF", "127.0.0.1", "1"),
			mend:     do("REPLICAOF", "NO", "ONE"),
			wantPing: "READONLY",
		}, {
			name:     "MASTERDOWN",
			server:   redistest.Options{Args: []string{"--replica-serve-stale-data", "no"}},
			spoil:    do("REPLICAOF", "127.0.0.1", "1"),
			mend:     do("REPLICAOF", "NO", "ONE"),
			wantPing: "MASTERDOWN",
		}, {
			name: "OOM",
			spoil: func(t *testing.T, s *redistest.Server) {
				s.Do("SET", "filler", strings.Repeat("x", 2<<20))
				s.Do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
			},
			mend:     do("CONFIG", "SET", "maxmemory", "0"),
			wantPing: "OOM",
		}, {
			name:   "MISCONF",
			server: redistest.Options{Args: []string{"--dir", dir, "--dbfilename", "dump", "--save", "3600 100000"}},
			spoil: func(t *testing.T, s *redistest.Server) {
				// A snapshot cannot replace a directory.
				if err := os.MkdirAll(filepath.Join(dir, "dump", "inside"), 0o700); err != nil {
					t.Fatal(err)
				}
				saveInBackground(t, s, "rdb_last_bgsave_status:err")
			},
			mend: func(t *testing.T, s *redistest.Server) {
				if err := os.RemoveAll(filepath.Join(dir, "dump")); err != nil {
					t.Fatal(err)
				}
				saveInBackground(t, s, "rdb_last_bgsave_status:ok")
			},
			wantPing: "MISCONF",
		}, {
			name:     "NOAUTH",
			server:   redistest.Options{Password: "correct horse"},
			mend:     do("CONFIG", "SET", "requirepass", ""),
			wantPing: "NOAUTH",
		}, {
			name:     "WRONGPASS",
			server:   redistest.Options{Password: "correct horse"},
			options:  cache.RedisOptions{Password: "wrong"},
			mend:     do("CONFIG", "SET", "requirepass", "wrong"),
			wantPing: "WRONGPASS",
		}, {
			name:     "too few rights",
			spoil:    do("ACL", "SETUSER", "default", "-eval", "-evalsha", "-set"),
			mend:     do("ACL", "SETUSER", "default", "+@all"),
			wantPing: "NOPERM",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRedisRig(t, tt.server, tt.options)
			if tt.spoil != nil {
				r.works(t)
				tt.spoil(t, r.server)
			}
			for n := range 100 {
				r.Set(t.Context(), mappingOf(n), idKey(n))
			}
			if got := r.rec.count("set error"); got != 3 {
				t.Errorf("%d calls failed, want 3", got)
			}
			if m, ok := r.Get(t.Context(), idKey(7)); ok {
				t.Errorf("Get = %+v while bypassed, want a miss", m)
			}
			wantError(t, r.Ping(t.Context()), tt.wantPing)
			if log := r.rec.lines(); !strings.Contains(log, tt.wantPing) {
				t.Errorf("the log does not say %s:\n%s", tt.wantPing, log)
			}
			tt.mend(t, r.server)
			r.works(t)
		})
	}
}

func do(args ...any) func(*testing.T, *redistest.Server) {
	return func(_ *testing.T, s *redistest.Server) { s.Do(args...) }
}

func saveInBackground(t *testing.T, s *redistest.Server, want string) {
	t.Helper()
	s.Do("BGSAVE")
	eventually(t, "no "+want, func() bool {
		info := fmt.Sprint(s.Do("INFO", "persistence"))
		return strings.Contains(info, "rdb_bgsave_in_progress:0") && strings.Contains(info, want)
	})
}

// Refusals that a real server cannot be brought to at will.
func TestRedisRefusingOtherwise(t *testing.T) {
	for _, reply := range []string{
		"LOADING Redis is loading the dataset in memory", "CLUSTERDOWN The cluster is down",
		"TRYAGAIN Multiple keys request during rehashing of slot", "ERR max number of clients reached", "BUSY Redis is busy running a script",
	} {
		t.Run(strings.Fields(reply)[0], func(t *testing.T) {
			server := miniredis.RunT(t)
			rec := &recorder{}
			r := &redisRig{rec: rec, Redis: newRedis(t, cache.RedisOptions{URL: "redis://" + server.Addr(), Observe: rec.observe})}
			r.works(t)
			server.SetError(reply)
			for n := range 100 {
				if m, ok := r.Get(t.Context(), idKey(n)); ok {
					t.Fatalf("Get = %+v, want a miss", m)
				}
			}
			if got := rec.count("get error"); got != 3 {
				t.Errorf("%d calls failed, want 3", got)
			}
			wantError(t, r.Ping(t.Context()), reply)
			server.SetError("")
			r.works(t)
		})
	}
}
