package settings

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
)

const redacted = "[redacted]"

// Secret is a string that prints as "[redacted]"; string(s) is the value.
type Secret string

// Format implements fmt.Formatter for every verb.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Key is key material that prints as "[redacted]"; []byte(k) is the value.
type Key []byte

// Format implements fmt.Formatter for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// String implements fmt.Stringer.
func (Key) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

const (
	keyBytes = 32
	makeKey  = "make one with: (umask 077; openssl rand -base64 32 >bridge.key)"
	// longestSecret bounds what is read of a file.
	longestSecret = 64 << 10
)

func (l *load) readSecrets(s *Settings) {
	for _, p := range []struct {
		path string
		dst  *Secret
	}{
		{"store.password", &s.Store.Password},
		{"redis.password", &s.Redis.Password},
		{"redis.sentinel_password", &s.Redis.SentinelPassword},
	} {
		text, _ := l.secret(p.path)
		*p.dst = Secret(text)
	}
	text, from := l.secret("secrets.key")
	switch {
	case from == "" && !l.failed["secrets.key_env"] && !l.failed["secrets.key_file"]:
		l.complain("secrets.key_file", "", "", &complaint{"is required, or secrets.key_env: without a key the tenants' credentials cannot be sealed", makeKey})
	case text != "":
		var c *complaint
		s.Secrets.Key, c = parseKey(text)
		l.complainAbout(from, c)
	}
	for i, file := range l.values["secrets.previous_key_files"].list {
		path := fmt.Sprintf("secrets.previous_key_files[%d]", i)
		text, c := readSecretFile(file)
		var key Key
		if c == nil {
			key, c = parseKey(text)
		}
		l.complain(path, l.values["secrets.previous_key_files"].from, file, c)
		s.Secrets.PreviousKeys = append(s.Secrets.PreviousKeys, key)
	}
}

// secret reads what path_env or path_file leads to, and says which of them; ""
// means that neither is set or that a fault was found.
func (l *load) secret(path string) (text, from string) {
	env, file := path+"_env", path+"_file"
	var c *complaint
	switch {
	case l.failed[env] || l.failed[file]:
		return "", ""
	case l.text(env) != "" && l.text(file) != "":
		l.complainAbout(file, &complaint{"is set beside " + env, "keep one of them"})
		return "", ""
	case l.text(env) != "":
		from = env
		text, _ = l.env(l.text(env))
		if text == "" {
			c = &complaint{"is an environment variable that is empty or not set", "put the secret into it, or name another one"}
		}
	case l.text(file) != "":
		from = file
		text, c = readSecretFile(l.text(file))
	}
	if c != nil {
		l.complainAbout(from, c)
		return "", ""
	}
	return text, from
}

func readSecretFile(path string) (string, *complaint) {
	f, err := os.Open(path)
	if err != nil {
		return "", &complaint{"cannot be read: " + reason(err), "name a file that the bridge may read"}
	}
	defer f.Close()
	if c := checkPrivate(f); c != nil {
		return "", c
	}
	data, err := io.ReadAll(io.LimitReader(f, longestSecret+1))
	switch {
	case err != nil:
		return "", &complaint{"cannot be read: " + reason(err), "name a file that the bridge may read"}
	case len(data) > longestSecret:
		return "", &complaint{"is too large for a secret", "name the file that holds nothing but the secret"}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", &complaint{"is an empty file", "write the secret into it"}
	}
	return text, nil
}

// checkPrivate refuses files that others on the machine may read or change.
func checkPrivate(f *os.File) *complaint {
	info, err := f.Stat()
	switch {
	case err != nil:
		return &complaint{"cannot be looked at: " + reason(err), "name a file that the bridge may read"}
	case !info.Mode().IsRegular():
		return &complaint{"is not a file", "name the file that holds the secret"}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0:
		return &complaint{fmt.Sprintf("may be read or changed by everybody (mode %04o)", info.Mode().Perm()), "run chmod o= on it; in Kubernetes set defaultMode: 0440 for the volume"}
	}
	return nil
}

// parseKey reads 32 bytes in base64, plain or URL-safe, padded or not, or in
// hexadecimal.
func parseKey(text string) (Key, *complaint) {
	key, err := decodeKey(strings.TrimSpace(text))
	distinct := map[byte]bool{}
	for _, b := range key {
		distinct[b] = true
	}
	switch {
	case err != nil:
		return nil, &complaint{"holds no key in base64 or hexadecimal", makeKey}
	case len(key) != keyBytes:
		return nil, &complaint{fmt.Sprintf("holds a key of %d bytes, not %d", len(key), keyBytes), makeKey}
	case len(distinct) < 8: // 32 random bytes have as few once in 10^27 times
		return nil, &complaint{"holds a key that is not random", makeKey}
	}
	return key, nil
}

func decodeKey(text string) ([]byte, error) {
	if len(text) == hex.EncodedLen(keyBytes) {
		if key, err := hex.DecodeString(text); err == nil {
			return key, nil
		}
	}
	text = strings.TrimRight(text, "=")
	if key, err := base64.RawStdEncoding.DecodeString(text); err == nil {
		return key, nil
	}
	return base64.RawURLEncoding.DecodeString(text)
}
