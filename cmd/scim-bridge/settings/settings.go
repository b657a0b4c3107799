// Package settings reads what a bridge process is told at its start: one strict
// YAML file, overridden by the environment. Tenants are not settings; they live
// in the store.
//
// Every key of the file has an environment variable of the same name, in
// capitals, with "_" for the dots and SCIM_BRIDGE_ before it:
// limits.body_bytes is SCIM_BRIDGE_LIMITS_BODY_BYTES. Lists are separated by
// commas there. An empty variable counts as not set.
//
// Secrets are never written into the file. A key ending in _env names an
// environment variable that holds the secret, one ending in _file a file that
// does. Relative paths start at the folder of the settings file, or at the
// working directory when there is none.
package settings

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"time"
)

// Settings are complete and checked: defaults are filled in, files were
// readable, and what excludes each other is not there together.
type Settings struct {
	// Listen is the host:port to serve on.
	Listen string
	// MetricsListen is the host:port for /metrics, /healthz and /readyz; ""
	// means they are served on Listen.
	MetricsListen string
	// PublicURL is the address that clients use, without a trailing slash.
	PublicURL *url.URL
	TLS       TLS
	// TrustedProxies may say in X-Forwarded-For whom a request came from.
	TrustedProxies []netip.Prefix
	Store          Store
	Redis          Redis
	Secrets        Secrets
	Log            Log
	Limits         Limits
	Directory      Directory
	Requests       Requests

	effective []effective
}

// TLS names the certificate to serve with; both are empty without TLS.
type TLS struct{ CertFile, KeyFile string }

// Store names the database.
type Store struct {
	// URL is "sqlite:" and an absolute path, or postgres://….
	URL string
	// Password is the PostgreSQL user's; "" means none is sent.
	Password Secret
}

// Redis names the shared cache.
type Redis struct {
	// URL is as cache.ParseRedisURL reads it, without a password; "" means
	// that each process caches in its own memory.
	URL                        string
	Password, SentinelPassword Secret
	KeyPrefix                  string
	Timeout, TTL               time.Duration
}

// Secrets seal what the store must not hold in the clear.
type Secrets struct {
	// Key has 32 bytes.
	Key Key
	// PreviousKeys open what was sealed before Key was introduced.
	PreviousKeys []Key
}

// Log says what is logged and how.
type Log struct {
	Level slog.Level
	// Format is "json" or "text".
	Format string
}

// Limits bound what one client may ask for.
type Limits struct {
	BodyBytes           int64
	RequestTimeout      time.Duration
	DrainTimeout        time.Duration
	FailedAuthPerMinute int
	// RateLimit is how many requests a second one credential may make; 0
	// means any number. RateBurst is how many it may make at once.
	RateLimit float64
	RateBurst int
}

// Directory says how often upstream is scanned.
type Directory struct{ Interval time.Duration }

// Requests bounds the log of requests.
type Requests struct {
	// Keep is how long a request is kept.
	Keep time.Duration
	// MaxRows is how many requests of a tenant are; 0 means that there is no log.
	MaxRows int
}

// Load reads the settings from the file at path, or from the environment alone
// when path is "". env looks a variable up, as os.LookupEnv does. Whatever is
// wrong is reported at once, as a *FaultsError.
func Load(path string, env func(string) (string, bool)) (*Settings, error) {
	l := &load{env: env, values: map[string]value{}, failed: map[string]bool{}}
	s := &Settings{}
	if l.readFile(path) {
		l.readEnvironment()
		l.apply(s)
		l.readSecrets(s)
		l.check(s)
	}
	if len(l.faults) > 0 {
		return nil, &FaultsError{Faults: l.faults}
	}
	return s, nil
}

// load is one run of Load.
type load struct {
	env    func(string) (string, bool)
	dir    string           // where relative paths start
	values map[string]value // by path; known keys only
	failed map[string]bool  // paths with a fault, not to be complained about twice
	faults []Fault
}

// value is what the file or the environment says about one key.
type value struct {
	text string
	list []string
	from string // the environment variable; "" for the file
}

const envPrefix = "SCIM_BRIDGE_"

func (l *load) readEnvironment() {
	for _, f := range fields() {
		name := f.envName()
		text, ok := l.env(name)
		if !ok || text == "" {
			continue
		}
		v := value{text: text, from: name}
		if f.list {
			v.list = splitList(text)
		}
		l.values[f.path] = v
		delete(l.failed, f.path)
	}
}

// apply sets every field to what was said or to its default.
func (l *load) apply(s *Settings) {
	for _, f := range fields() {
		v, said := l.values[f.path]
		if !said {
			if l.failed[f.path] {
				continue
			}
			v = value{text: f.preset}
		}
		if f.resolve != nil && v.text != "" {
			v.text = f.resolve(l.dir, v.text)
		}
		if f.list {
			for i, item := range v.list {
				if f.resolve != nil {
					v.list[i] = f.resolve(l.dir, item)
				}
				l.complain(fmt.Sprintf("%s[%d]", f.path, i), v.from, item, f.set(s, v.list[i]))
			}
		} else if v.text != "" {
			l.complain(f.path, v.from, f.visible(v.text), f.set(s, v.text))
		} else if f.required != "" {
			l.complain(f.path, "", "", &complaint{"is required", f.required})
		}
		l.values[f.path] = v
		s.effective = append(s.effective, effective{field: f, value: v, said: said})
	}
}

// text returns what a key is set to, its default included.
func (l *load) text(path string) string { return l.values[path].text }
