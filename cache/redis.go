package cache

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions configures NewRedis. The server must allow the commands GET,
// SET, DEL, EVAL and EVALSHA on keys that begin with KeyPrefix, and in a
// cluster CLUSTER SLOTS.
type RedisOptions struct {
	// URL names the servers, as ParseRedisURL reads it; required.
	URL string
	// Username and Password log in to the data servers; "" leaves what the URL
	// says. Giving a password both here and in the URL is refused.
	Username, Password string
	// SentinelUsername and SentinelPassword log in to sentinels; "" means they
	// ask for nothing.
	SentinelUsername, SentinelPassword string
	// TLS replaces the configuration used for rediss URLs; nil means the
	// system's roots and TLS 1.2 or later. With another scheme it is refused.
	TLS *tls.Config

	// KeyPrefix begins every key; "" means "sarb". Deployments that share a
	// server need different ones. It may hold letters, digits and . _ - :
	KeyPrefix string
	// HashKey keys the digests that stand in for user names and addresses, and
	// the sums by which entries are verified. Without it (nil) digests are
	// plain hashes: who can read the server can confirm a guessed address, and
	// who can write it can plant an entry. All replicas need the same.
	HashKey []byte
	// TTL is how long an entry lives after it was stored, give or take a tenth
	// so that entries do not all expire at once; 0 means 24 h.
	TTL time.Duration
	// Timeout bounds each call together with the caller's context; 0 means
	// 250 ms.
	Timeout time.Duration
	// ProbeInterval is how often a Redis that failed is tried again; 0 means
	// one second.
	ProbeInterval time.Duration
	// PoolSize bounds the connections to each server; 0 means 10 per CPU.
	PoolSize int

	// Logger is told when Redis fails and works again; nil means nobody is.
	Logger *slog.Logger
	// Observe is told of every operation; nil means nobody is.
	Observe Observer
	// Now is the clock for durations and for the rate of log lines; nil means
	// time.Now.
	Now func() time.Time
	// Rand returns a number in [0, 1) to spread expiry; nil means rand.Float64.
	Rand func() float64
}

// Redis is a Cache shared by all replicas. Create it with NewRedis.
//
// Nothing is retried: a call that fails is a miss, and repeating it would only
// load a server in trouble. When calls keep failing, Redis is bypassed, so that
// callers lose no more time to it, until a write by a goroutine of the cache's
// own succeeds.
type Redis struct {
	client redis.UniversalClient
	guard  *guard
	hash   *hasher
	prefix string
	ttl    time.Duration
	rand   func() float64
	script *redis.Script
	close  func() error
}

// setScript stores ARGV[i+1] under KEYS[i] for ARGV[1] milliseconds, unless a
// newer version is there. What does not look like a value of this schema is
// overwritten, whatever its type.
const setScript = `
local function version(v)
  if type(v) ~= 'string' then return nil end
  return string.match(v, '^` + valueSchema + `(` + twentyDigits + `)')
end
for i, key in ipairs(KEYS) do
  local new = ARGV[i + 1]
  local old = version(redis.pcall('GET', key))
  if not old or old <= version(new) then
    redis.call('SET', key, new, 'PX', ARGV[1])
  end
end
return redis.status_reply('OK')
`

// twentyDigits matches versionDigits digits; Lua patterns cannot count.
const twentyDigits = "%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d"

var keyPrefixForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// NewRedis returns a cache on the servers that o names. It does not connect:
// a server that is down only makes the cache useless until it is up.
func NewRedis(o RedisOptions) (*Redis, error) {
	target, err := ParseRedisURL(o.URL)
	if err != nil {
		return nil, err
	}
	if err := o.complete(&target); err != nil {
		return nil, err
	}
	r := &Redis{
		client: newRedisClient(o, target),
		hash:   newHasher(o.HashKey),
		prefix: o.KeyPrefix,
		ttl:    o.TTL,
		rand:   o.Rand,
		script: redis.NewScript(setScript),
	}
	r.guard = newGuard(guardOptions{
		timeout: o.Timeout, interval: o.ProbeInterval,
		logger: o.Logger, observe: o.Observe, now: o.Now, probe: r.probe,
	})
	r.close = sync.OnceValue(func() error {
		r.guard.close()
		return r.client.Close()
	})
	return r, nil
}

func (o *RedisOptions) complete(t *RedisTarget) error {
	if o.KeyPrefix == "" {
		o.KeyPrefix = "sarb"
	}
	switch {
	case !keyPrefixForm.MatchString(o.KeyPrefix):
		return fmt.Errorf("redis key prefix %q is not usable; want 1 to 64 of letters, digits, dots, colons, underscores and hyphens", clip(o.KeyPrefix))
	case o.Password != "" && t.Password != "":
		return errors.New("redis password is given both in the URL and beside it; take it out of the URL")
	case o.TLS != nil && !t.TLS:
		return errors.New("redis has a TLS configuration but its URL asks for plain text; use rediss://")
	case o.TTL < 0 || o.Timeout < 0 || o.ProbeInterval < 0 || o.PoolSize < 0:
		return errors.New("redis options hold a negative duration or pool size; use 0 for the default")
	}
	if t.TLS && o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.Username == "" {
		o.Username = t.Username
	}
	if o.Password == "" {
		o.Password = t.Password
	}
	o.TTL = cmp.Or(o.TTL, 24*time.Hour)
	o.Timeout = cmp.Or(o.Timeout, 250*time.Millisecond)
	o.ProbeInterval = cmp.Or(o.ProbeInterval, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return nil
}

func newRedisClient(o RedisOptions, t RedisTarget) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs:            t.Addrs,
		MasterName:       t.Master,
		DB:               t.DB,
		IsClusterMode:    t.Mode == RedisCluster,
		Username:         o.Username,
		Password:         o.Password,
		SentinelUsername: o.SentinelUsername,
		SentinelPassword: o.SentinelPassword,
		TLSConfig:        o.TLS,

		// RESP2 and no announcements of ourselves: the fewer replies nobody
		// asked for, the fewer can be taken for somebody else's.
		Protocol:                 2,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},

		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		DialerRetries:         1,
		// A dial goes on without its caller, so that a handshake slower than
		// one call still ends in a usable connection.
		DialTimeout:      max(time.Second, 2*o.Timeout),
		ReadTimeout:      o.Timeout,
		WriteTimeout:     o.Timeout,
		PoolTimeout:      o.Timeout,
		PoolSize:         o.PoolSize,
		PipelinePoolSize: -1,
		ConnMaxIdleTime:  5 * time.Minute,
		ConnMaxLifetime:  30 * time.Minute,
		ReadBufferSize:   4 << 10,
		WriteBufferSize:  4 << 10,
	}
	return redis.NewUniversalClient(u)
}

// Get implements Cache. An entry that does not verify is deleted.
func (r *Redis) Get(ctx context.Context, k Key) (Mapping, bool) {
	d := r.hash.key(k)
	key := redisKey(r.prefix, k, d)
	var m Mapping
	var bad error
	outcome := r.guard.do(ctx, OpGet, k.Tenant, func(ctx context.Context) (Outcome, error) {
		b, err := r.client.Get(ctx, key).Bytes()
		switch {
		case err == redis.Nil:
			return OutcomeMiss, nil
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			bad = err
			return OutcomeCorrupt, nil
		case err != nil:
			return OutcomeError, err
		}
		m, bad = r.hash.decodeValue(b, d)
		switch {
		case bad == nil:
			return OutcomeHit, nil
		case errors.Is(bad, errForeignValue):
			return OutcomeForeign, nil
		}
		return OutcomeCorrupt, nil
	})
	if bad != nil {
		r.guard.complain("redis cache entry does not verify; it is deleted and read as a miss", bad,
			slog.String("tenant", k.Tenant), slog.String("kind", k.Kind.String()))
		r.guard.do(ctx, OpRepair, k.Tenant, func(ctx context.Context) (Outcome, error) {
			return OutcomeOK, r.client.Del(ctx, key).Err()
		})
	}
	return m, outcome == OutcomeHit
}

// Set implements Cache, in one round trip for the keys of one tenant.
func (r *Redis) Set(ctx context.Context, m Mapping, keys ...Key) {
	life := int64(float64(r.ttl/time.Millisecond) * (0.9 + 0.2*r.rand()))
	for tenant, own := range byTenant(keys) {
		names := make([]string, len(own))
		args := make([]any, 1, 1+len(own))
		args[0] = max(1, life)
		for i, k := range own {
			d := r.hash.key(k)
			names[i] = redisKey(r.prefix, k, d)
			args = append(args, r.hash.encodeValue(d, m))
		}
		r.guard.do(ctx, OpSet, tenant, func(ctx context.Context) (Outcome, error) {
			return OutcomeOK, r.script.Run(ctx, r.client, names, args...).Err()
		})
	}
}

// Delete implements Cache, in one round trip for the keys of one tenant.
func (r *Redis) Delete(ctx context.Context, keys ...Key) {
	for tenant, own := range byTenant(keys) {
		names := make([]string, len(own))
		for i, k := range own {
			names[i] = redisKey(r.prefix, k, r.hash.key(k))
		}
		r.guard.do(ctx, OpDelete, tenant, func(ctx context.Context) (Outcome, error) {
			return OutcomeOK, r.client.Del(ctx, names...).Err()
		})
	}
}

// byTenant yields runs of keys of one tenant: a cluster refuses commands on keys of
// several slots.
func byTenant(keys []Key) iter.Seq2[string, []Key] {
	return func(yield func(string, []Key) bool) {
		for len(keys) > 0 {
			tenant := keys[0].Tenant
			n := slices.IndexFunc(keys, func(k Key) bool { return k.Tenant != tenant })
			if n < 0 {
				n = len(keys)
			}
			if !yield(tenant, keys[:n]) {
				return
			}
			keys = keys[n:]
		}
	}
}

// Ping writes to Redis and says why that failed. While Redis is bypassed it
// says so at once, with the reason.
func (r *Redis) Ping(ctx context.Context) error { return r.guard.ping(ctx) }

// probe writes where calls for the tenant would: on that shard, and only if
// the server takes writes.
func (r *Redis) probe(ctx context.Context, tenant string) error {
	key := r.prefix + ":1:{" + tenantTag(tenant) + "}:probe"
	return r.client.Set(ctx, key, "", time.Minute).Err()
}

// Close ends all connections. Calls under way fail, later ones are bypassed. When
// Redis is down, a goroutine of the client library may last one second longer.
func (r *Redis) Close() error { return r.close() }
