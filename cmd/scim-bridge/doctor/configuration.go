package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
)

// ConfigurationOptions are what CheckConfiguration looks at.
type ConfigurationOptions struct {
	// File is the settings file; "": the environment alone.
	File string
	// Settings are those that were loaded; nil when Err says why not.
	Settings *settings.Settings
	Err      error
}

// CheckConfiguration checks the settings: their faults, who else may read or
// change the files that they name, and values that are dangerous together.
func CheckConfiguration(o ConfigurationOptions) Check {
	return Check{Name: Configuration, Look: func(context.Context) []Finding {
		var f findings
		name := cmp.Or(o.File, "environment")
		if o.Err != nil {
			f.faults(name, o)
			return f
		}
		f.ok(name, "complete, no unknown key")
		if o.File != "" {
			f.mayChange(o.File, "the settings")
		}
		files, err := secretFiles(o.Settings)
		if err != nil {
			f.add(Error, name, "report it with the output of scim-bridge version", "the settings in effect cannot be read back: %v", err)
			return f
		}
		for _, s := range files {
			f.mayChange(s.file, s.key)
		}
		f.network(o.Settings)
		return f
	}}
}

func (f *findings) faults(name string, o ConfigurationOptions) {
	faults, ok := errors.AsType[*settings.FaultsError](o.Err)
	if !ok {
		f.add(Error, name, "", "%v", o.Err)
		return
	}
	if o.File == "" {
		f.add(Notice, name, "use --config FILE or SCIM_BRIDGE_CONFIG", "no settings file was named")
	}
	for _, fault := range faults.Faults {
		subject := name + ": " + fault.Path
		if fault.Value != "" {
			subject += fmt.Sprintf(": %q", fault.Value)
		}
		f.add(Error, subject, fault.Remedy, "%s", fault.Problem)
	}
}

// secretFile is a file that a key of the settings names.
type secretFile struct{ key, file string }

// secretFiles lists the files with secrets that the settings name.
func secretFiles(s *settings.Settings) ([]secretFile, error) {
	var doc struct {
		TLS struct {
			KeyFile string `yaml:"key_file"`
		}
		Store struct {
			PasswordFile string `yaml:"password_file"`
		}
		Redis struct {
			PasswordFile         string `yaml:"password_file"`
			SentinelPasswordFile string `yaml:"sentinel_password_file"`
		}
		Secrets struct {
			KeyFile          string   `yaml:"key_file"`
			PreviousKeyFiles []string `yaml:"previous_key_files"`
		}
	}
	if err := yaml.Unmarshal([]byte(s.Redacted()), &doc); err != nil {
		return nil, err
	}
	all := []secretFile{
		{"tls.key_file", doc.TLS.KeyFile}, {"store.password_file", doc.Store.PasswordFile},
		{"redis.password_file", doc.Redis.PasswordFile}, {"redis.sentinel_password_file", doc.Redis.SentinelPasswordFile},
		{"secrets.key_file", doc.Secrets.KeyFile},
	}
	for i, file := range doc.Secrets.PreviousKeyFiles {
		all = append(all, secretFile{fmt.Sprintf("secrets.previous_key_files[%d]", i), file})
	}
	var named []secretFile
	for _, s := range all {
		if s.file != "" {
			named = append(named, s)
		}
	}
	return named, nil
}

// mayChange says who else may write a file, or put another one in its place.
// That others may read a secret is a fault of the settings already.
func (f *findings) mayChange(file, what string) {
	if runtime.GOOS == "windows" {
		return // its modes say nothing
	}
	info, err := os.Stat(file)
	if err != nil {
		f.add(Error, what+" "+file, "name a file that exists and that this user may read", "%s", reason(err))
		return
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		f.add(Warning, what+" "+file, "chmod go-w "+file, "others may change it (mode %04o)", mode)
	}
	dir, err := os.Stat(filepath.Dir(file))
	if err != nil {
		f.add(Warning, what+" "+file, "give this user the right to look at the folder", "its folder cannot be looked at: %s", reason(err))
		return
	}
	if dir.Mode().Perm()&0o002 != 0 && dir.Mode()&os.ModeSticky == 0 {
		f.add(Warning, what+" "+file, "chmod o-w "+filepath.Dir(file), "everybody may put another file in its place: its folder has mode %04o", dir.Mode().Perm())
	}
}

// broadest are the shortest prefixes of private ranges: 10.0.0.0/8 and fc00::/7.
const (
	broadest4 = 8
	broadest6 = 7
)

// network looks at what passes the network in the clear, and at who is
// believed.
func (f *findings) network(s *settings.Settings) {
	for i, p := range s.TrustedProxies {
		if bits := p.Bits(); p.Addr().Is4() && bits < broadest4 || p.Addr().Is6() && bits < broadest6 {
			f.add(Warning, fmt.Sprintf("trusted_proxies[%d]: %s", i, p), "name the addresses of your proxies only",
				"a large part of the Internet may say in X-Forwarded-For whom a request came from, and so evade limits.failed_auth_per_minute")
		}
	}
	if s.MetricsListen == "" && !isLocal(s.PublicURL.Hostname()) {
		f.add(Notice, "metrics_listen", "set metrics_listen, or have the proxy refuse /metrics and /readyz",
			"is not set: who reaches public_url can read /metrics and /readyz, which name the tenants")
	}
	f.postgresTLS(s.Store.URL)
	if t, err := cache.ParseRedisURL(s.Redis.URL); s.Redis.URL != "" && err == nil && !t.TLS && !allLocal(t.Addrs) {
		f.add(Notice, "redis.url "+s.Redis.URL, "use rediss:// if the network between is not your own",
			"the password of Redis passes the network in the clear; what is cached is keyed and signed")
	}
}

// postgresTLS judges sslmode as libpq documents it
// (https://www.postgresql.org/docs/current/libpq-ssl.html, "SSL Mode Descriptions").
func (f *findings) postgresTLS(address string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "sqlite" || isLocal(u.Hostname()) {
		return
	}
	const remedy = "add sslmode=verify-full, and sslrootcert=FILE for an authority of your own"
	switch mode := cmp.Or(u.Query().Get("sslmode"), "prefer"); mode {
	case "verify-full":
	case "verify-ca", "require":
		f.add(Notice, "store.url sslmode="+mode, remedy, "who is between here and the database can pose as it")
	default:
		f.add(Warning, "store.url sslmode="+mode, remedy, "people's data may pass the network in the clear")
	}
}

// isLocal says of a host by name or address, or of a socket's path, that it is
// on this machine. "" is a socket.
func isLocal(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// allLocal is isLocal of every host:port or path of a socket.
func allLocal(addrs []string) bool {
	for _, a := range addrs {
		if !isLocal(hostOf(a)) {
			return false
		}
	}
	return true
}

// hostOf is the host of host:port; else all of it.
func hostOf(addr string) string {
	if u, err := url.Parse("//" + addr); err == nil && u.Port() != "" {
		return u.Hostname()
	}
	return addr
}
