package settings

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/cache"
)

// field is one key of the settings.
type field struct {
	path string
	// preset is the default, as it would be written; "" means none.
	preset string
	// required says what to write when nothing is set; "" means it may be
	// left out.
	required string
	list     bool
	// set takes one value over, of a list one item after the other.
	set func(*Settings, string) *complaint
	// resolve makes a relative path absolute; nil where there is none.
	resolve func(dir, text string) string
	// show hides what may be secret in a value; nil means nothing is.
	show func(string) string
}

// fields lists every key, in the order in which they are shown.
func fields() []field {
	return []field{
		{path: "listen", preset: "127.0.0.1:8080", set: into(func(s *Settings) *string { return &s.Listen }, hostPort)},
		{path: "metrics_listen", set: into(func(s *Settings) *string { return &s.MetricsListen }, hostPort)},
		{path: "public_url", required: "write the address that identity providers will use, such as https://scim.example.com",
			set: into(asPublicURL, publicURL), show: withoutUser},
		{path: "tls.cert_file", set: into(func(s *Settings) *string { return &s.TLS.CertFile }, anything), resolve: resolvePath},
		{path: "tls.key_file", set: into(func(s *Settings) *string { return &s.TLS.KeyFile }, anything), resolve: resolvePath},
		{path: "trusted_proxies", list: true, set: addProxy},

		{path: "store.url", preset: "sqlite:scim-bridge.db", set: into(func(s *Settings) *string { return &s.Store.URL }, storeURL),
			resolve: resolveStore, show: withoutUser},
		{path: "store.password_env", set: envName, show: onlyEnvName},
		{path: "store.password_file", set: ignore, resolve: resolvePath},

		{path: "redis.url", set: into(func(s *Settings) *string { return &s.Redis.URL }, redisURL), show: withoutUser},
		{path: "redis.password_env", set: envName, show: onlyEnvName},
		{path: "redis.password_file", set: ignore, resolve: resolvePath},
		{path: "redis.sentinel_password_env", set: envName, show: onlyEnvName},
		{path: "redis.sentinel_password_file", set: ignore, resolve: resolvePath},
		{path: "redis.key_prefix", preset: "sarb", set: into(func(s *Settings) *string { return &s.Redis.KeyPrefix }, keyPrefix)},
		{path: "redis.timeout", preset: "250ms", set: durationBetween("10ms", "5s", asRedisTimeout)},
		{path: "redis.ttl", preset: "24h", set: durationBetween("1m", "720h", asRedisTTL)},

		{path: "secrets.key_env", set: envName, show: onlyEnvName},
		{path: "secrets.key_file", set: ignore, resolve: resolvePath},
		{path: "secrets.previous_key_files", list: true, set: ignore, resolve: resolvePath},

		{path: "log.level", preset: "info", set: into(asLogLevel, logLevel)},
		{path: "log.format", preset: "json", set: into(func(s *Settings) *string { return &s.Log.Format }, oneOf("json", "text"))},

		{path: "limits.body_bytes", preset: "1MiB", set: into(func(s *Settings) *int64 { return &s.Limits.BodyBytes }, size(64<<10, 64<<20))},
		{path: "limits.request_timeout", preset: "30s", set: durationBetween("5s", "55s", asRequestTimeout)},
		{path: "limits.drain_timeout", preset: "35s", set: durationBetween("1s", "10m", asDrainTimeout)},
		{path: "limits.failed_auth_per_minute", preset: "1000", set: into(func(s *Settings) *int { return &s.Limits.FailedAuthPerMinute }, count(1, 1_000_000))},
		{path: "limits.rate_limit", preset: "off", set: into(func(s *Settings) *float64 { return &s.Limits.RateLimit }, rate)},
		{path: "limits.rate_burst", preset: "100", set: into(func(s *Settings) *int { return &s.Limits.RateBurst }, count(1, 1_000_000))},

		{path: "directory.interval", preset: "5m", set: durationBetween("30s", "24h", asInterval)},

		{path: "requests.keep", preset: "720h", set: durationBetween("1h", "8760h", asRequestsKeep)},
		{path: "requests.max_rows", preset: "100000", set: into(func(s *Settings) *int { return &s.Requests.MaxRows }, count(0, 10_000_000))},
	}
}

// into applies parse and stores its result.
func into[T any](dst func(*Settings) *T, parse func(string) (T, *complaint)) func(*Settings, string) *complaint {
	return func(s *Settings, text string) *complaint {
		v, c := parse(text)
		if c == nil {
			*dst(s) = v
		}
		return c
	}
}

func (f field) envName() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

func (f field) visible(text string) string {
	if f.show == nil {
		return text
	}
	return f.show(text)
}

func findField(path string) *field {
	all := fields()
	i := slices.IndexFunc(all, func(f field) bool { return f.path == path })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func isSection(path string) bool {
	return slices.ContainsFunc(fields(), func(f field) bool { return strings.HasPrefix(f.path, path+".") })
}

func resolvePath(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// resolveStore makes the path of a SQLite file absolute.
func resolveStore(dir, url string) string {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if path = strings.TrimPrefix(path, "//"); !ok || path == "" || path == ":memory:" {
		return url
	}
	return "sqlite:" + resolvePath(dir, path)
}

func addProxy(s *Settings, text string) *complaint {
	p, c := proxyPrefix(text)
	if c == nil {
		s.TrustedProxies = append(s.TrustedProxies, p)
	}
	return c
}

// ignore takes a value that readSecrets looks at.
func ignore(*Settings, string) *complaint { return nil }

func redisURL(text string) (string, *complaint) {
	t, err := cache.ParseRedisURL(text)
	switch {
	case err != nil:
		return "", &complaint{err.Error(), "mend the URL"}
	case t.Password != "":
		return "", &complaint{"holds a password", "move it to a file and name that in redis.password_file"}
	}
	return text, nil
}
