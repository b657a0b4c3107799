package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sharearefund/scim-bridge/cache"
)

// CacheOptions are what CheckCache looks at.
type CacheOptions struct {
	// Redis is as the servers use it; nil: each caches in its own memory.
	Redis *cache.RedisOptions
	// Err is why Redis cannot even be tried; nil otherwise.
	Err error
	// Replicas is how many servers live.
	Replicas int
}

const (
	// pings is over how many the latency is judged.
	pings = 5
	// oldestRedis is the oldest major version that the tests have run with.
	oldestRedis = 7
)

// CheckCache checks the shared cache: whether it answers in time and takes
// writes, and whether it will when it is full. Nothing there is an Error: a
// server without its cache is slower and nothing else. It writes one key of its
// own, which expires.
func CheckCache(o CacheOptions) Check {
	return Check{Name: Cache, Look: func(ctx context.Context) []Finding {
		var f findings
		if o.Err != nil {
			f.add(Error, "redis", "correct the section redis", "%v", o.Err)
			return f
		}
		if o.Redis == nil {
			if o.Replicas > 1 {
				f.add(Warning, "redis.url", "set redis.url", "is not set, and %d servers live: each looks up in the database what another one knows already", o.Replicas)
			} else {
				f.ok("redis.url", "is not set: the server caches in its memory")
			}
			return f
		}
		target, err := cache.ParseRedisURL(o.Redis.URL)
		if err != nil {
			f.add(Error, "redis.url", "mend the URL", "%v", err)
			return f
		}
		where := "redis.url " + strings.Join(target.Addrs, ",")
		if !f.usable(ctx, where, o) {
			return f
		}
		f.server(ctx, where, o, target)
		return f
	}}
}

// usable tries Redis as servers do.
func (f *findings) usable(ctx context.Context, where string, o CacheOptions) bool {
	ro := *o.Redis
	ro.Logger = slog.New(slog.DiscardHandler)
	// Connecting and logging in may take longer than one call of a server,
	// which does so beside its requests.
	ro.Timeout = max(ro.Timeout, 2*time.Second)
	r, err := cache.NewRedis(ro)
	if err != nil {
		f.add(Error, where, "correct the section redis", "%v", err)
		return false
	}
	err = r.Ping(ctx)
	if closed := r.Close(); err == nil {
		err = closed
	}
	if err != nil {
		f.add(Warning, where, redisRemedy(err), "cannot be used, so that requests are slower: %s", reason(innermost(err)))
		return false
	}
	return true
}

// innermost is the last cause of err.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		if _, ok := next.(syscall.Errno); ok {
			return err // what called says more than a number
		}
		err = next
	}
}

// redisRemedy is what to do about an error, by how the server words it.
func redisRemedy(err error) string {
	text := err.Error()
	for _, r := range []struct{ prefix, remedy string }{
		{"NOAUTH", "name the password in redis.password_file"},
		{"WRONGPASS", "correct the user in redis.url, or redis.password_file"},
		{"ERR AUTH", "remove redis.password_file, or set a password on the server"},
		{"NOPERM", "allow the user GET, SET, DEL, EVAL and EVALSHA on keys that begin with redis.key_prefix, in a cluster CLUSTER SLOTS"},
		{"READONLY", "name the master in redis.url, or the sentinels: redis+sentinel://host:26379/master"},
		{"OOM", "set maxmemory-policy allkeys-lru on the server"},
		{"MISCONF", "the server cannot write its snapshot: free its disk, or switch snapshots off, as the cache needs none"},
		{"LOADING", "wait until the server has read its file"},
		{"MOVED", "this is one node of a cluster: write redis+cluster:// in redis.url"},
		{"CLUSTERDOWN", "bring the cluster back: redis-cli cluster info"},
		{"ERR This instance has cluster support disabled", "write redis:// instead of redis+cluster:// in redis.url"},
		{"ERR unknown command", "the server is no data server, or its commands are renamed: allow GET, SET, DEL, EVAL and EVALSHA"},
	} {
		if strings.Contains(text, r.prefix) {
			return r.remedy
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "have the server's certificate renewed, or its authority trusted by this machine"
	}
	if errors.Is(err, io.EOF) {
		return "write rediss:// in redis.url if the server wants TLS, redis:// if not"
	}
	return "check that the server runs and can be reached from here, and redis.url"
}

// server asks the server about itself.
func (f *findings) server(ctx context.Context, where string, o CacheOptions, t cache.RedisTarget) {
	c := redisClient(o, t)
	defer func() { _ = c.Close() }() // nothing was left to be sent
	var took []time.Duration
	for range pings {
		start := time.Now()
		if err := c.Ping(ctx).Err(); err != nil {
			f.add(Warning, where, redisRemedy(err), "does not answer a ping: %s", reason(innermost(err)))
			return
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	median, limit := took[pings/2], o.Redis.Timeout
	if limit == 0 {
		limit = 250 * time.Millisecond
	}
	if median > limit/2 {
		f.add(Warning, where, "use a server that is near, or raise redis.timeout", "takes %s to answer; above redis.timeout (%s) it is bypassed", span(median), limit)
	}
	// One section at a time: servers before 7 do not take several.
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "persistence", "replication", "cluster"} {
		text, err := c.Info(ctx, section).Result()
		if err != nil {
			f.add(Notice, where, "allow its user the command INFO to have memory and version checked", "answers in %s, and does not tell about itself: %s", span(median), reason(err))
			return
		}
		for line := range strings.Lines(text) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[key] = value
			}
		}
	}
	f.ok(where, "answers in %s, version %s, %s", span(median), clip(info["redis_version"]), clip(info["redis_mode"]))
	f.redisInfo(where, info, t)
}

func (f *findings) redisInfo(where string, info map[string]string, t cache.RedisTarget) {
	number := func(key string) int64 {
		n, err := strconv.ParseInt(info[key], 10, 64)
		if err != nil {
			return 0 // not told by this server
		}
		return n
	}
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err == nil && n < oldestRedis {
		f.add(Notice, where, "upgrade the server", "version %s is older than what the bridge is tested with (%d)", clip(info["redis_version"]), oldestRedis)
	}
	if info["cluster_enabled"] == "1" && t.Mode != cache.RedisCluster {
		f.add(Warning, where, "write redis+cluster:// in redis.url", "is a node of a cluster: it refuses the keys of other nodes")
	}
	if info["role"] == "slave" {
		f.add(Warning, where, "name the master in redis.url, or the sentinels: redis+sentinel://host:26379/master", "is a replica, which takes no writes once it is read-only")
	}
	most, used, policy := number("maxmemory"), number("used_memory"), info["maxmemory_policy"]
	switch {
	case policy == "noeviction" && most > 0 && used*10 >= most*9:
		f.add(Warning, where, "set maxmemory-policy allkeys-lru", "uses %s of maxmemory %s with the policy noeviction: it is about to refuse writes", size(used), size(most))
	case policy == "noeviction" && most > 0:
		f.add(Warning, where, "set maxmemory-policy allkeys-lru", "has the policy noeviction: once maxmemory (%s) is reached it refuses writes, and is bypassed", size(most))
	case most == 0:
		f.add(Notice, where, "set maxmemory and maxmemory-policy allkeys-lru", "has no maxmemory: what bounds it is redis.ttl alone")
	}
	if s := info["rdb_last_bgsave_status"]; s != "" && s != "ok" {
		f.add(Warning, where, "free the server's disk, or switch snapshots off: CONFIG SET save ''", "could not write its last snapshot: many servers refuse writes then")
	}
	if info["aof_enabled"] == "1" {
		f.add(Notice, where, "set appendonly no, unless others use the server too", "writes everything to disk; the cache needs none of it after a restart")
	}
}

// redisClient speaks to the servers as the bridge does, RESP2 without
// announcements.
func redisClient(o CacheOptions, t cache.RedisTarget) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs: t.Addrs, MasterName: t.Master, DB: t.DB, IsClusterMode: t.Mode == cache.RedisCluster,
		Username: t.Username, Password: o.Redis.Password,
		SentinelUsername: o.Redis.SentinelUsername, SentinelPassword: o.Redis.SentinelPassword, TLSConfig: o.Redis.TLS,
		Protocol: 2, DisableIdentity: true, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, PipelinePoolSize: -1,
	}
	if o.Redis.Username != "" {
		u.Username = o.Redis.Username
	}
	if t.TLS && u.TLSConfig == nil {
		u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return redis.NewUniversalClient(u)
}
