package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
)

func TestCacheWithoutRedis(t *testing.T) {
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Replicas: 1})), "ok is not set")
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Replicas: 2})), "warning is not set, and 2 servers live")
	closed := &cache.RedisOptions{URL: "redis://" + closedPort(t)}
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Redis: closed})), "warning cannot be used")
}

func TestCache(t *testing.T) {
	plain := redistest.Options{}
	for _, tt := range []struct {
		name   string
		server redistest.Options
		// spoil are commands to the server; change the bridge's options.
		spoil  [][]any
		change func(*cache.RedisOptions)
		want   []string
		remedy string
	}{
		{"sound", redistest.Options{Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}}, nil, nil, []string{"ok version"}, ""},
		{"no bound", plain, nil, nil, []string{"notice has no maxmemory"}, ""},
		{"no eviction", redistest.Options{Args: []string{"--maxmemory", "64mb"}}, nil, nil, []string{"warning has the policy noeviction: once maxmemory (64.0 MiB)"}, "allkeys-lru"},
		{"full", redistest.Options{Args: []string{"--maxmemory", "1"}}, nil, nil, []string{"warning cannot be used"}, "allkeys-lru"},
		{"a replica", plain, [][]any{{"REPLICAOF", "127.0.0.1", "1"}}, nil, []string{"warning cannot be used"}, "name the master"},
		{"a replica that takes writes", plain, [][]any{{"CONFIG", "SET", "replica-read-only", "no"}, {"REPLICAOF", "127.0.0.1", "1"}}, nil, []string{"warning is a replica"}, "name the master"},
		{"persistent", plain, [][]any{{"CONFIG", "SET", "appendonly", "yes"}}, nil, []string{"notice writes everything to disk"}, ""},
		{"a password", redistest.Options{Password: "hunter2"}, nil, func(o *cache.RedisOptions) { o.Password = "hunter2" }, []string{"ok version"}, ""},
		{"no password", redistest.Options{Password: "hunter2"}, nil, nil, []string{"warning cannot be used"}, "redis.password_file"},
		{"another password", redistest.Options{Password: "hunter2"}, nil, func(o *cache.RedisOptions) { o.Password = "hunter3" }, []string{"warning cannot be used"}, "correct the user"},
		{"no cluster", plain, nil, func(o *cache.RedisOptions) { o.URL = strings.Replace(o.URL, "redis:", "redis+cluster:", 1) }, []string{"warning cannot be used"}, "write redis://"},
		{"a user who may not ask", plain, [][]any{{"ACL", "SETUSER", "bridge", "on", ">hunter2", "~*", "+@all", "-info"}}, func(o *cache.RedisOptions) {
			o.Username, o.Password = "bridge", "hunter2"
		}, []string{"notice does not tell about itself"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := redistest.Start(t, tt.server)
			for _, command := range tt.spoil {
				s.Do(command...)
			}
			o := &cache.RedisOptions{URL: s.URL(), Timeout: 5 * time.Second}
			if tt.change != nil {
				tt.change(o)
			}
			found := look(t, doctor.CheckCache(doctor.CacheOptions{Redis: o}))
			expect(t, found, tt.want...)
			text := lines(found)
			if strings.Contains(text, "hunter2") || strings.Contains(text, "hunter3") || !strings.Contains(text, tt.remedy) {
				t.Errorf("remedy %q:\n%s", tt.remedy, text)
			}
		})
	}
}

// A node of a cluster that is taken for a server of its own.
func TestCacheOfTheWrongKind(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Cluster: true})
	o := &cache.RedisOptions{URL: "redis://" + s.Addr()}
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Redis: o})), "warning is a node of a cluster")
	o.URL = s.URL()
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Redis: o})), "ok version")
	sentinel := redistest.StartSentinel(t, redistest.Start(t, redistest.Options{}), "main")
	o.URL = "redis://" + sentinel.Addr()
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Redis: o})), "warning cannot be used")
	slow := &cache.RedisOptions{URL: s.URL(), Timeout: time.Nanosecond}
	expect(t, look(t, doctor.CheckCache(doctor.CacheOptions{Redis: slow})), "warning above redis.timeout (1ns) it is bypassed")
}
