package cache_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/sharearefund/scim-bridge/cache"
)

func TestParseRedisURL(t *testing.T) {
	tests := []struct {
		name, in string
		want     cache.RedisTarget
		wantErr  string
	}{
		{"host", "redis://cache.test", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"cache.test:6379"}}, ""},
		{"port and database", "redis://127.0.0.1:7000/3", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"127.0.0.1:7000"}, DB: 3}, ""},
		{"trailing slash", "redis://h/", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"h:6379"}}, ""},
		{"tls", "rediss://h", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"h:6379"}, TLS: true}, ""},
		{"scheme in capitals", "REDIS://h", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"h:6379"}}, ""},
		{"IPv6", "redis://[::1]:7000", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"[::1]:7000"}}, ""},
		{"IPv6 without port", "redis://[::1]", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"[::1]:6379"}}, ""},
		{"user and password", "redis://u%40x:p%3A@%2F#?@h:1", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"h:1"}, Username: "u@x", Password: "p:@/#?"}, ""},
		{"password only", "redis://:secret@h", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"h:6379"}, Password: "secret"}, ""},
		{"comma list is a cluster", "redis://a:1,b,[::1]:3", cache.RedisTarget{Mode: cache.RedisCluster, Addrs: []string{"a:1", "b:6379", "[::1]:3"}}, ""},
		{"cluster by name", "rediss+cluster://a/0", cache.RedisTarget{Mode: cache.RedisCluster, Addrs: []string{"a:6379"}, TLS: true}, ""},
		{"sentinel", "redis+sentinel://:pw@a,b:1/mymaster/2", cache.RedisTarget{Mode: cache.RedisSentinel, Addrs: []string{"a:26379", "b:1"}, Master: "mymaster", DB: 2, Password: "pw"}, ""},
		{"socket", "unix:///run/redis.sock", cache.RedisTarget{Mode: cache.RedisStandalone, Addrs: []string{"/run/redis.sock"}}, ""},

		{"empty", "", cache.RedisTarget{}, "has no scheme; want redis://"},
		{"no scheme", "localhost:6379", cache.RedisTarget{}, "has no scheme"},
		{"other scheme", "http://h", cache.RedisTarget{}, `unknown scheme "http"`},
		{"no host", "redis://", cache.RedisTarget{}, `the server "" without a usable host`},
		{"no host but port", "redis://:6379", cache.RedisTarget{}, "without a usable host"},
		{"hole in the list", "redis://a,,b", cache.RedisTarget{}, "without a usable host"},
		{"port zero", "redis://h:0", cache.RedisTarget{}, `the port "0"`},
		{"port too high", "redis://h:65536", cache.RedisTarget{}, `the port "65536"`},
		{"empty port", "redis://h:", cache.RedisTarget{}, `the port ""`},
		{"naked IPv6", "redis://::1:6379", cache.RedisTarget{}, "[::1]:6379"},
		{"blank in host", "redis://a b", cache.RedisTarget{}, "without a usable host"},
		{"database by name", "redis://h/main", cache.RedisTarget{}, `the database "main"`},
		{"negative database", "redis://h/-1", cache.RedisTarget{}, `the database "-1"`},
		{"two paths", "redis://h/1/2", cache.RedisTarget{}, `the database "1/2"`},
		{"database in a cluster", "redis://a,b/1", cache.RedisTarget{}, "a cluster has only database 0"},
		{"sentinel without master", "redis+sentinel://a", cache.RedisTarget{}, "names no master"},
		{"parameters", "redis://h/0?read_timeout=1s", cache.RedisTarget{}, "parameters are not read"},
		{"fragment", "redis://h/0#x", cache.RedisTarget{}, "%23"},
		{"bad escape", "redis://u:100%@h", cache.RedisTarget{}, "write % as %25"},
		{"relative socket", "unix://run/redis.sock", cache.RedisTarget{}, "unix:///path/of/socket"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cache.ParseRedisURL(tt.in)
			wantError(t, err, tt.wantErr)
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("ParseRedisURL(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func wantError(t *testing.T, err error, substring string) {
	t.Helper()
	switch {
	case substring == "" && err != nil:
		t.Fatalf("error %v, want none", err)
	case substring != "" && (err == nil || !strings.Contains(err.Error(), substring)):
		t.Fatalf("error %v, want one with %q", err, substring)
	}
}

func TestRedisURLErrorsKeepThePassword(t *testing.T) {
	for _, in := range []string{
		"redis://user:hunter2@h:port", "redis://user:hunter2@h/db", "redis://user:hunter2%@h",
		"redis://user:hunter2@", "redis+sentinel://user:hunter2@h", "unix://user:hunter2@/sock", "redis://u:hunter2@h?x=1",
	} {
		_, err := cache.ParseRedisURL(in)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseRedisURL(%q) = %v; want an error without the password", in, err)
		}
	}
}

func TestNewRedisRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		o    cache.RedisOptions
		want string
	}{
		"no URL":            {cache.RedisOptions{}, "has no scheme"},
		"brace in prefix":   {cache.RedisOptions{URL: "redis://h", KeyPrefix: "{x}"}, `key prefix "{x}"`},
		"two passwords":     {cache.RedisOptions{URL: "redis://:a@h", Password: "b"}, "both in the URL and beside it"},
		"TLS without TLS":   {cache.RedisOptions{URL: "redis://h", TLS: &tls.Config{}}, "use rediss://"},
		"negative duration": {cache.RedisOptions{URL: "redis://h", TTL: -1}, "use 0 for the default"},
	} {
		_, err := cache.NewRedis(tt.o)
		t.Run(name, func(t *testing.T) { wantError(t, err, tt.want) })
	}
}

func TestRedisOverTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	defer https.Close()
	server := miniredis.NewMiniRedis()
	if err := server.StartTLS(&tls.Config{Certificates: https.TLS.Certificates}); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	trusting := newRedis(t, cache.RedisOptions{URL: "rediss://" + server.Addr(), TLS: &tls.Config{RootCAs: roots}})
	trusting.Set(t.Context(), mappingOf(1), idKey(1))
	if got, ok := trusting.Get(t.Context(), idKey(1)); !ok || got != mappingOf(1) {
		t.Errorf("Get = %+v, %t; want %+v", got, ok, mappingOf(1))
	}
	strict := newRedis(t, cache.RedisOptions{URL: "rediss://" + server.Addr()})
	wantError(t, strict.Ping(t.Context()), "x509: certificate signed by unknown authority")
}
