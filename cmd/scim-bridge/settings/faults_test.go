package settings

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each fault alone; DIR stands for the folder of the settings.
func TestLoadNamesEachFault(t *testing.T) {
	const pub = "public_url: https://scim.example.com\n"
	const key = "secrets: {key_file: bridge.key}\n"
	tests := []struct {
		name, yaml string
		env        map[string]string
		want       []string
	}{
		{name: "it needs a public_url", yaml: key, want: []string{
			`public_url: is required; write the address that identity providers will use, such as https://scim.example.com`}},
		{name: "it needs a key", yaml: pub, want: []string{
			`secrets.key_file: is required, or secrets.key_env: without a key the tenants' credentials cannot be sealed; make one with: (umask 077; openssl rand -base64 32 >bridge.key)`}},
		{name: "an empty file", yaml: "# nothing\n", want: []string{"public_url: is required", "secrets.key_file: is required"}},

		// The form of the file.
		{name: "not YAML", yaml: "listen: \"x\n", want: []string{"line 1: is not YAML: could not find end character of double-quoted text; mend that line"}},
		{name: "a key twice", yaml: minimal + "listen: :1\nlisten: :2\n", want: []string{`line 4: is not YAML: mapping key "listen" already defined`}},
		{name: "a list", yaml: "- 1\n", want: []string{"settings: is not a mapping", "public_url: is required", "secrets.key_file: is required"}},
		{name: "two documents", yaml: minimal + "---\nlisten: :1\n", want: []string{"settings file: holds more than one YAML document; keep one and remove ---"}},
		{name: "a section that is a value", yaml: minimal + "log: debug\n", want: []string{`log: is not a mapping; write keys and values under it`}},
		{name: "a value that is a section", yaml: minimal + "listen: {port: 1}\n", want: []string{"listen: is not a single value; write one value on the same line"}},
		{name: "no value", yaml: minimal + "listen:\n", want: []string{"listen: has no value; give it one or remove the line"}},
		{name: "an empty value", yaml: minimal + "listen: ''\n", want: []string{"listen: is empty"}},
		{name: "a value instead of a list", yaml: minimal + "trusted_proxies: 10.0.0.0/8\n", want: []string{"trusted_proxies: is not a list; write it as [first, second]"}},
		{name: "a list in a list", yaml: minimal + "trusted_proxies: [[10.0.0.0/8]]\n", want: []string{"trusted_proxies[0]: is not a single value"}},
		{name: "an alias", yaml: "listen: &x 127.0.0.1:1\nmetrics_listen: *x\n" + minimal, want: []string{"listen: is not a single value", "metrics_listen: is not a single value"}},
		{name: "a merge", yaml: minimal + "<<: {listen: ':1'}\n", want: []string{"<<: is not a plain key"}},
		{name: "a tag", yaml: minimal + "listen: !!str 127.0.0.1:1\n", want: []string{"listen: is not a single value"}},

		// Unknown keys.
		{name: "a misspelt key", yaml: minimal + "lsiten: :1\n", want: []string{"lsiten: unknown key; did you mean listen?"}},
		{name: "a misspelt key below", yaml: minimal + "limits: {body_byte: 1}\n", want: []string{"limits.body_byte: unknown key; did you mean limits.body_bytes?"}},
		{name: "a misspelt section", yaml: minimal + "limit: {body_bytes: 1}\n", want: []string{"limit: unknown key; did you mean limits?"}},
		{name: "a key of another case", yaml: minimal + "Listen: :1\n", want: []string{"Listen: unknown key; did you mean listen?"}},
		{name: "a key in the wrong place", yaml: minimal + "body_bytes: 1\n", want: []string{"body_bytes: unknown key; did you mean limits.body_bytes?"}},
		{name: "a key unlike any", yaml: minimal + "log: {colour: red}\n", want: []string{"log.colour: unknown key; known here: level, format"}},
		{name: "a number as a key", yaml: minimal + "7: 1\n", want: []string{"7: "}},
		{name: "a secret in the file", yaml: minimal + "redis: {url: 'redis://h', password: hunter2}\n", want: []string{
			"redis.password: a secret does not belong in the settings; name a variable in redis.password_env or a file in redis.password_file"}},

		// Single values.
		{name: "listen without port", yaml: minimal + "listen: localhost\n", want: []string{`listen: "localhost": is not host:port; write it as 127.0.0.1:8080, [::1]:8080 or :8080`}},
		{name: "listen with a URL", yaml: minimal + "listen: http://localhost:80\n", want: []string{`listen: "http://localhost:80": is not host:port`}},
		{name: "listen with a high port", yaml: minimal + "listen: 127.0.0.1:65536\n", want: []string{`listen: "127.0.0.1:65536": has no port number from 0 to 65535`}},
		{name: "public_url relative", yaml: key + "public_url: scim.example.com\n", want: []string{`public_url: "scim.example.com": is not an absolute URL`}},
		{name: "public_url in the clear", yaml: key + "public_url: http://scim.example.com\n", want: []string{`would send credentials in the clear; use https; http is for localhost only`}},
		{name: "public_url of another scheme", yaml: key + "public_url: ftp://scim.example.com\n", want: []string{`is not an https URL`}},
		{name: "public_url with a query", yaml: key + "public_url: https://h/?x=1\n", want: []string{`has a query or fragment`}},
		{name: "public_url with a password", yaml: key + "public_url: https://u:hunter2@h\n", want: []string{`public_url: "https://…@h": holds a user name or password`}},
		{name: "public_url with the SCIM path", yaml: key + "public_url: https://h/x/scim/v2/\n", want: []string{`ends with the SCIM path, which is added to it; remove /scim/v2`}},
		{name: "public_url with dots", yaml: key + "public_url: https://h/a/../b\n", want: []string{`has a path with //, . or ..`}},
		{name: "a proxy by address", yaml: minimal + "trusted_proxies: [10.1.2.3]\n", want: []string{`trusted_proxies[0]: "10.1.2.3": is an address, not a range; write 10.1.2.3/32`}},
		{name: "a proxy range with bits", yaml: minimal + "trusted_proxies: [10.0.0.0/8, 192.168.1.1/16]\n", want: []string{`trusted_proxies[1]: "192.168.1.1/16": has bits set beyond its length; write 192.168.0.0/16`}},
		{name: "everybody as a proxy", yaml: minimal + "trusted_proxies: ['::/0']\n", want: []string{`trusts everybody`}},
		{name: "a store of another kind", yaml: minimal + "store: {url: 'mysql://h'}\n", want: []string{`store.url: "mysql://h": is no database that the bridge knows`}},
		{name: "a store in memory", yaml: minimal + "store: {url: 'sqlite::memory:'}\n", want: []string{`names no file`}},
		{name: "a store with its password", yaml: minimal + "store: {url: 'postgres://u:hunter2@h/d'}\n", want: []string{`store.url: "postgres://…@h/d": holds a password; move it to a file and name that in store.password_file`}},
		{name: "a store with its password in the query", yaml: minimal + "store: {url: 'postgres://h/d?password=hunter2'}\n", want: []string{`store.url: "postgres://h/d?…": holds a password`}},
		{name: "a password for SQLite", yaml: minimal + "store: {password_env: BRIDGE_KEY}\n", want: []string{`store.password_env: "BRIDGE_KEY": has no effect: store.url names a SQLite file`}},
		{name: "redis by another scheme", yaml: minimal + "redis: {url: 'http://h'}\n", want: []string{`redis.url: "http://h": redis URL has the unknown scheme "http"`}},
		{name: "redis with its password", yaml: minimal + "redis: {url: 'redis://:hunter2@h'}\n", want: []string{`redis.url: "redis://…@h": holds a password; move it to a file and name that in redis.password_file`}},
		{name: "redis keys without redis", yaml: minimal + "redis: {ttl: 1h, key_prefix: x}\n", want: []string{
			`redis.key_prefix: "x": has no effect without redis.url; set redis.url or remove it`, `redis.ttl: "1h": has no effect without redis.url`}},
		{name: "a prefix with a brace", yaml: minimal + "redis: {url: 'redis://h', key_prefix: '{x}'}\n", want: []string{`redis.key_prefix: "{x}": is not usable in keys`}},
		{name: "a duration without unit", yaml: minimal + "directory: {interval: 300}\n", want: []string{`directory.interval: "300": is not a duration; write a number and a unit, such as 250ms, 30s or 5m`}},
		{name: "a duration too short", yaml: minimal + "directory: {interval: 1s}\n", want: []string{`directory.interval: "1s": is out of range; choose between 30s and 24h`}},
		{name: "a duration too long", yaml: minimal + "limits: {request_timeout: 60s, drain_timeout: 2m}\n", want: []string{`limits.request_timeout: "60s": is out of range; choose between 5s and 55s`}},
		{name: "a drain shorter than a request", yaml: minimal + "limits: {drain_timeout: 10s}\n", want: []string{`limits.drain_timeout: "10s": is shorter than limits.request_timeout (30s), so that a shutdown would cut requests off; choose 30s or more`}},
		{name: "a size in words", yaml: minimal + "limits: {body_bytes: 1 GB}\n", want: []string{`limits.body_bytes: "1 GB": is not a size`}},
		{name: "a size too small", yaml: minimal + "limits: {body_bytes: 63KiB}\n", want: []string{`limits.body_bytes: "63KiB": is out of range; choose between 64KiB and 64MiB`}},
		{name: "a size that overflows", yaml: minimal + "limits: {body_bytes: 9223372036854775807MiB}\n", want: []string{`is out of range`}},
		{name: "a negative count", yaml: minimal + "limits: {rate_burst: -1}\n", want: []string{`limits.rate_burst: "-1": is not a usable number`}},
		{name: "a rate that is not one", yaml: minimal + "limits: {rate_limit: .nan}\n", want: []string{`limits.rate_limit: ".nan": is not a rate`}},
		{name: "a rate below Entra's", yaml: minimal + "limits: {rate_limit: 10}\n", want: []string{`limits.rate_limit: "10": is less than Microsoft Entra requires of an endpoint; choose 25 or more, or off`}},
		{name: "a log level", yaml: minimal + "log: {level: loud}\n", want: []string{`log.level: "loud": is unknown; write debug or info or warn or error`}},
		{name: "a log format", yaml: minimal + "log: {format: xml}\n", want: []string{`log.format: "xml": is unknown; write json or text`}},

		// Values together.
		{name: "open to the network in the clear", yaml: minimal + "listen: :8080\n", want: []string{
			`listen: ":8080": would take credentials in the clear from other machines; set tls.cert_file and tls.key_file, or trusted_proxies when a proxy ends TLS, or listen on 127.0.0.1`}},
		{name: "tls beside proxies", yaml: minimal + "trusted_proxies: [10.0.0.0/8]\ntls: {cert_file: tls.crt, key_file: tls.key}\n", want: []string{
			`trusted_proxies: "10.0.0.0/8": is set beside tls`}},
		{name: "a certificate without its key", yaml: minimal + "tls: {cert_file: tls.crt}\n", want: []string{`tls.key_file: is missing beside tls.cert_file`}},
		{name: "a key without its certificate", yaml: minimal + "tls: {key_file: tls.key}\n", want: []string{`tls.cert_file: is missing beside tls.key_file`}},
		{name: "metrics on the same port", yaml: minimal + "metrics_listen: 127.0.0.1:8080\n", want: []string{`metrics_listen: "127.0.0.1:8080": is the same as listen`}},
		{name: "two keys", yaml: pub + "secrets: {key_env: BRIDGE_KEY, key_file: bridge.key}\n", want: []string{`secrets.key_file: "DIR/bridge.key": is set beside secrets.key_env; keep one of them`}},

		// Files and variables.
		{name: "no certificate", yaml: minimal + "tls: {cert_file: none.crt, key_file: none.key}\n", want: []string{
			`tls.cert_file: "DIR/none.crt": cannot be read: no such file or directory; name a file that the bridge may read`,
			`tls.key_file: "DIR/none.key": cannot be read: no such file or directory`}},
		{name: "a certificate of another key", yaml: minimal + "tls: {cert_file: tls.crt, key_file: other.key}\n", want: []string{
			`tls.cert_file: "DIR/tls.crt": does not go with tls.key_file: private key does not match public key`}},
		{name: "a certificate that is none", yaml: minimal + "tls: {cert_file: bridge.key, key_file: tls.key}\n", want: []string{`does not go with tls.key_file: failed to find any PEM data`}},
		{name: "a key for all to read", yaml: pub + "secrets: {key_file: open.key}\n", want: []string{
			`secrets.key_file: "DIR/open.key": may be read or changed by everybody (mode 0644); run chmod o= on it; in Kubernetes set defaultMode: 0440 for the volume`}},
		{name: "a folder as key", yaml: pub + "secrets: {key_file: .}\n", want: []string{`is not a file; name the file that holds the secret`}},
		{name: "an empty key file", yaml: pub + "secrets: {key_file: empty}\n", want: []string{`is an empty file; write the secret into it`}},
		{name: "a short key", yaml: pub + "secrets: {key_file: short.key}\n", want: []string{`secrets.key_file: "DIR/short.key": holds a key of 5 bytes, not 32; make one with`}},
		{name: "a key of zeros", yaml: pub + "secrets: {key_file: zero.key}\n", want: []string{`holds a key that is not random`}},
		{name: "a key that is a sentence", yaml: pub + "secrets: {key_file: words.key}\n", want: []string{`holds no key in base64 or hexadecimal`}},
		{name: "a huge secret", yaml: pub + "secrets: {key_file: huge.key}\n", want: []string{`is too large for a secret`}},
		{name: "a previous key that is none", yaml: pub + "secrets: {key_file: bridge.key, previous_key_files: [bridge.key, gone.key]}\n", want: []string{
			`secrets.previous_key_files[1]: "DIR/gone.key": cannot be read: no such file or directory`}},
		{name: "a variable that is not set", yaml: pub + "secrets: {key_env: NO_KEY}\n", want: []string{`secrets.key_env: "NO_KEY": is an environment variable that is empty or not set; put the secret into it, or name another one`}},
		{name: "a variable that is empty", yaml: pub + "secrets: {key_env: EMPTY}\n", env: map[string]string{"EMPTY": ""}, want: []string{`secrets.key_env: "EMPTY": is an environment variable that is empty or not set`}},
		{name: "a secret for a name", yaml: minimal + "redis: {url: 'redis://h', password_env: hunter2}\n", want: []string{
			`redis.password_env: "[redacted]": is not the name of an environment variable`}},
		{name: "a fault in the environment", yaml: minimal, env: map[string]string{"SCIM_BRIDGE_DIRECTORY_INTERVAL": "soon"}, want: []string{
			`directory.interval (SCIM_BRIDGE_DIRECTORY_INTERVAL): "soon": is not a duration`}},
		{name: "a fault in a list in the environment", yaml: minimal, env: map[string]string{"SCIM_BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8,x"}, want: []string{
			`trusted_proxies[1] (SCIM_BRIDGE_TRUSTED_PROXIES): "x": is not a range of addresses`}},

		// Everything at once, in the order of the keys.
		{name: "many", yaml: `
listen: 8080
publik_url: https://x
store: {url: oracle}
redis: {url: redis, ttl: forever}
secrets: {key_env: NO_KEY}
log: {level: loud, format: xml, file: x}
limits: {body_bytes: much, request_timeout: -1s}
`, want: []string{
			`publik_url: unknown key; did you mean public_url?`,
			`log.file: unknown key; known here: level, format`,
			`listen: "8080": is not host:port`,
			`public_url: is required`,
			`store.url: "oracle": is no database`,
			`redis.url: "redis": redis URL has no scheme`,
			`redis.ttl: "forever": is not a duration`,
			`log.level: "loud": is unknown`,
			`log.format: "xml": is unknown`,
			`limits.body_bytes: "much": is not a size`,
			`limits.request_timeout: "-1s": is out of range`,
			`secrets.key_env: "NO_KEY": is an environment variable`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFolder(t)
			if strings.Contains(tt.yaml, "tls.crt") || strings.Contains(tt.yaml, "tls.key") {
				f.certificate("tls")
				f.certificate("other")
			}
			f.write("open.key", testKey, 0o644)
			f.write("empty", "\n", 0o600)
			f.write("short.key", "c2hvcnQ=", 0o600)
			f.write("zero.key", strings.Repeat("0", 64), 0o600)
			f.write("words.key", "correct horse battery staple", 0o600)
			f.write("huge.key", strings.Repeat("x", longestSecret+1), 0o600)
			maps.Copy(f.env, tt.env)
			s, err := f.load(tt.yaml)
			if err == nil {
				t.Fatalf("no error, want %q; settings:\n%s", tt.want, s.Redacted())
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
			got := faults(t, err)
			for i := range max(len(got), len(tt.want)) {
				var g, w string
				if i < len(got) {
					g = strings.ReplaceAll(got[i], f.dir, "DIR")
				}
				if i < len(tt.want) {
					w = tt.want[i]
				}
				if w == "" || !strings.Contains(g, w) {
					t.Errorf("fault %d:\n got %s\nwant %s", i, g, w)
				}
			}
		})
	}
}

func TestLoadWithoutItsFile(t *testing.T) {
	f := newFolder(t)
	_, err := Load(filepath.Join(f.dir, "none.yaml"), f.lookup)
	want := []string{`settings file: cannot be read: no such file or directory; name a file that the bridge may read`}
	if diff := cmp.Diff(want, faults(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(minimal)
	f.Add("a: &a [*a]\n")
	f.Add("limits: {body_bytes: 1MiB}\n---\n- x\n")
	f.Add("? {a: b}\n: c\n")
	f.Fuzz(func(t *testing.T, yaml string) {
		dir := t.TempDir()
		path := filepath.Join(dir, "settings.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path, func(string) (string, bool) { return "", false })
		if (s == nil) == (err == nil) {
			t.Fatalf("settings %v beside error %v", s, err)
		}
	})
}
