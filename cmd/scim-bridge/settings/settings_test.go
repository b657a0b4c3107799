package settings

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// folder is a folder of a test, with a key and settings in it.
type folder struct {
	t   *testing.T
	dir string
	env map[string]string
}

var testKey = base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))

func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{t: t, dir: t.TempDir(), env: map[string]string{"BRIDGE_KEY": testKey}}
	f.write("bridge.key", testKey+"\n", 0o600)
	return f
}

func (f *folder) write(name, content string, mode os.FileMode) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		f.t.Fatal(err)
	}
	return path
}

// certificate writes a key pair and returns its files.
func (f *folder) certificate(name string) (cert, key string) {
	f.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		f.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.t.Fatal(err)
	}
	cert = f.write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	key = f.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), 0o600)
	return cert, key
}

func (f *folder) lookup(name string) (string, bool) {
	v, ok := f.env[name]
	return v, ok
}

func (f *folder) load(yaml string) (*Settings, error) {
	f.t.Helper()
	return Load(f.write("settings.yaml", yaml, 0o644), f.lookup)
}

const minimal = "public_url: https://scim.example.com\nsecrets: {key_file: bridge.key}\n"

func defaults(dir string) *Settings {
	return &Settings{
		Listen:    "127.0.0.1:8080",
		PublicURL: &url.URL{Scheme: "https", Host: "scim.example.com"},
		Store:     Store{URL: "sqlite:" + filepath.Join(dir, "scim-bridge.db")},
		Redis:     Redis{KeyPrefix: "sarb", Timeout: 250 * time.Millisecond, TTL: 24 * time.Hour},
		Secrets:   Secrets{Key: Key("0123456789abcdefghijklmnopqrstuv")},
		Log:       Log{Level: slog.LevelInfo, Format: "json"},
		Limits: Limits{BodyBytes: 1 << 20, RequestTimeout: 30 * time.Second, DrainTimeout: 35 * time.Second,
			FailedAuthPerMinute: 1000, RateBurst: 100},
		Directory: Directory{Interval: 5 * time.Minute},
		Requests:  Requests{Keep: 720 * time.Hour, MaxRows: 100_000},
	}
}

var compare = cmp.Options{
	cmpopts.IgnoreUnexported(Settings{}),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	// Secrets print as [redacted], differences between them too.
}

func TestLoadFillsDefaultsIn(t *testing.T) {
	f := newFolder(t)
	got, err := f.load(minimal)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(f.dir), got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadReadsEveryKey(t *testing.T) {
	f := newFolder(t)
	f.write("redis.pw", "redis secret\r\n", 0o640)
	f.write("old.key", strings.Repeat("0123456789abcdef", 4), 0o400)
	f.env["STORE_PW"] = "store secret"
	f.env["SENTINEL_PW"] = "sentinel secret"
	got, err := f.load(`
listen: "[::]:8443"
metrics_listen: :9090
public_url: https://example.com:8443/bridge/
trusted_proxies: [10.0.0.0/8, "2001:db8::/32"]
store:
  url: postgres://bridge@db/bridge?sslmode=disable
  password_env: STORE_PW
redis:
  url: rediss+sentinel://me@a,b/main/1
  password_file: redis.pw
  sentinel_password_env: SENTINEL_PW
  key_prefix: other
  timeout: 100ms
  ttl: 1h
secrets:
  key_env: BRIDGE_KEY
  previous_key_files:
    - old.key
log: {level: WARN, format: text}
limits:
  body_bytes: 512KiB
  request_timeout: 20s
  drain_timeout: 1m
  failed_auth_per_minute: 50
  rate_limit: 1e2
  rate_burst: 7
directory:
  interval: 10m
requests: {keep: 24h, max_rows: 0}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &Settings{
		Listen: "[::]:8443", MetricsListen: ":9090",
		PublicURL:      &url.URL{Scheme: "https", Host: "example.com:8443", Path: "/bridge"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		Store:          Store{URL: "postgres://bridge@db/bridge?sslmode=disable", Password: "store secret"},
		Redis: Redis{URL: "rediss+sentinel://me@a,b/main/1", Password: "redis secret", SentinelPassword: "sentinel secret",
			KeyPrefix: "other", Timeout: 100 * time.Millisecond, TTL: time.Hour},
		Secrets: Secrets{Key: Key("0123456789abcdefghijklmnopqrstuv"), PreviousKeys: []Key{
			[]byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")}},
		Log: Log{Level: slog.LevelWarn, Format: "text"},
		Limits: Limits{BodyBytes: 512 << 10, RequestTimeout: 20 * time.Second, DrainTimeout: time.Minute,
			FailedAuthPerMinute: 50, RateLimit: 100, RateBurst: 7},
		Directory: Directory{Interval: 10 * time.Minute},
		Requests:  Requests{Keep: 24 * time.Hour},
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadReadsTheEnvironment(t *testing.T) {
	f := newFolder(t)
	f.env["SCIM_BRIDGE_PUBLIC_URL"] = "https://scim.example.com"
	f.env["SCIM_BRIDGE_SECRETS_KEY_ENV"] = "BRIDGE_KEY"
	f.env["SCIM_BRIDGE_STORE_URL"] = "sqlite:" + filepath.Join(f.dir, "scim-bridge.db")
	f.env["SCIM_BRIDGE_LIMITS_BODY_BYTES"] = "2MiB"
	f.env["SCIM_BRIDGE_REDIS_URL"] = "" // as if it were not set
	want := defaults(f.dir)
	want.Limits.BodyBytes = 2 << 20
	t.Run("it needs no file", func(t *testing.T) {
		got, err := Load("", f.lookup)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("it wins over the file", func(t *testing.T) {
		f.env["SCIM_BRIDGE_LISTEN"] = "0.0.0.0:80"
		f.env["SCIM_BRIDGE_TRUSTED_PROXIES"] = "10.0.0.0/8, 192.168.0.0/16,"
		want.Listen = "0.0.0.0:80"
		want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.0.0/16")}
		got, err := f.load("listen: 127.0.0.1:1\ntrusted_proxies: [172.16.0.0/12]\nlimits: {body_bytes: 64KiB}\n")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestEnvironmentNamesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, f := range fields() {
		if other, ok := seen[f.envName()]; ok {
			t.Errorf("%s and %s share %s", f.path, other, f.envName())
		}
		seen[f.envName()] = f.path
	}
}

func TestRedactedLoadsAgain(t *testing.T) {
	f := newFolder(t)
	const canary = "canary-5f0c"
	f.env["PW"] = canary
	f.env["SCIM_BRIDGE_LOG_LEVEL"] = "debug"
	first, err := f.load(minimal + "redis: {url: 'redis://h', password_env: PW}\ntrusted_proxies: [10.0.0.0/8]\n")
	if err != nil {
		t.Fatal(err)
	}
	shown := first.Redacted()
	delete(f.env, "SCIM_BRIDGE_LOG_LEVEL")
	second, err := Load((&folder{t: t, dir: t.TempDir()}).write("shown.yaml", shown, 0o600), f.lookup)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	if diff := cmp.Diff(first, second, compare); diff != "" {
		t.Errorf("(-first +second):\n%s\n%s", diff, shown)
	}
	for _, want := range []string{"level: \"debug\" # SCIM_BRIDGE_LOG_LEVEL\n", "interval: \"5m\" # default\n", "password_env: \"PW\"\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in\n%s", want, shown)
		}
	}
	asJSON, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "settings", first, "key", first.Secrets.Key, "pw", first.Redis.Password)
	for _, out := range []string{shown, string(asJSON), logged.String(), fmt.Sprintf("%v %+v %#v %s %x %q", *first, *first, *first, first.Redis.Password, first.Secrets.Key, first.Redis.Password)} {
		if strings.Contains(out, canary) || strings.Contains(out, "0123456789abcdef") || strings.Contains(out, testKey) || strings.Contains(out, "30313233") {
			t.Errorf("a secret shows in\n%s", out)
		}
	}
}

func TestExampleLoadsAndNamesEveryKey(t *testing.T) {
	example, err := os.ReadFile("../../../docs/scim-bridge.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := newFolder(t)
	f.certificate("tls")
	f.write("bridge-2025.key", testKey, 0o600)
	f.write("store-password", "s", 0o600)
	f.write("redis-password", "r", 0o600)
	s, err := f.load(strings.ReplaceAll(string(example), "/etc/scim-bridge/", f.dir+"/"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.effective {
		leaf := e.field.path[strings.LastIndexByte(e.field.path, '.')+1:]
		line := regexp.MustCompile(`(?m)^ *(# )?` + leaf + `: .*$`).FindString(string(example))
		switch {
		case line == "":
			t.Errorf("the example does not mention %s", e.field.path)
		case e.said && e.field.preset != "" && e.value.text != e.field.preset && !strings.Contains(line, "default"):
			t.Errorf("the example has %q, and does not say that the default is %q", strings.TrimSpace(line), e.field.preset)
		}
	}
}

// faults returns the lines of err.
func faults(t *testing.T, err error) []string {
	t.Helper()
	var all *FaultsError
	if !errors.As(err, &all) {
		t.Fatalf("error %v (%T), want a *FaultsError", err, err)
	}
	return strings.Split(all.Error(), "\n")
}
