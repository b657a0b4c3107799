package settings

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func asPublicURL(s *Settings) **url.URL           { return &s.PublicURL }
func asLogLevel(s *Settings) *slog.Level          { return &s.Log.Level }
func asRedisTimeout(s *Settings) *time.Duration   { return &s.Redis.Timeout }
func asRedisTTL(s *Settings) *time.Duration       { return &s.Redis.TTL }
func asRequestTimeout(s *Settings) *time.Duration { return &s.Limits.RequestTimeout }
func asDrainTimeout(s *Settings) *time.Duration   { return &s.Limits.DrainTimeout }
func asInterval(s *Settings) *time.Duration       { return &s.Directory.Interval }
func asRequestsKeep(s *Settings) *time.Duration   { return &s.Requests.Keep }

func anything(text string) (string, *complaint) { return text, nil }

// splitList reads a list from an environment variable.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func hostPort(text string) (string, *complaint) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", &complaint{"is not host:port", "write it as 127.0.0.1:8080, [::1]:8080 or :8080"}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", &complaint{"has no port number from 0 to 65535", "write it as 127.0.0.1:8080"}
	}
	if strings.ContainsAny(host, "/ \t\r\n@") {
		return "", &complaint{"has no usable host", "write an address or a name, or leave it out to listen on all addresses"}
	}
	return text, nil
}

func publicURL(text string) (*url.URL, *complaint) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return nil, &complaint{"is not an absolute URL", "write it as https://scim.example.com"}
	}
	clean := strings.TrimSuffix(u.Path, "/")
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &complaint{"is not an https URL", "write it as https://scim.example.com"}
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, &complaint{"would send credentials in the clear", "use https; http is for localhost only"}
	case u.User != nil:
		return nil, &complaint{"holds a user name or password", "remove what stands before the @"}
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, &complaint{"has a query or fragment", "remove everything from the ? or # on"}
	case clean != "" && path.Clean(clean) != clean || strings.Contains(u.EscapedPath(), "%"):
		return nil, &complaint{"has a path with //, . or .. or an escape in it", "write the path plainly or leave it out"}
	case strings.HasSuffix(clean, "/scim/v2") || strings.HasSuffix(clean, "/scim"):
		return nil, &complaint{"ends with the SCIM path, which is added to it", "remove " + clean[strings.LastIndex(clean, "/scim"):]}
	}
	u.Path, u.RawPath = clean, ""
	return u, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func proxyPrefix(text string) (netip.Prefix, *complaint) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			return p, &complaint{"is an address, not a range", fmt.Sprintf("write %s/%d", a, a.BitLen())}
		}
		return p, &complaint{"is not a range of addresses", "write it as 10.0.0.0/8"}
	}
	switch {
	case p.Bits() == 0:
		return p, &complaint{"trusts everybody", "name the addresses of your proxies only"}
	case p != p.Masked():
		return p, &complaint{"has bits set beyond its length", fmt.Sprintf("write %s", p.Masked())}
	}
	return p, nil
}

func storeURL(text string) (string, *complaint) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "sqlite":
		if rest == "" || rest == "//" || strings.TrimPrefix(rest, "//") == ":memory:" {
			return "", &complaint{"names no file", "write it as sqlite:/var/lib/scim-bridge/scim-bridge.db"}
		}
		return text, nil
	case "postgres", "postgresql":
	default:
		return "", &complaint{"is no database that the bridge knows", "write it as sqlite:/path/of/file or postgres://user@host/database"}
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" {
		return "", &complaint{"is not a URL", "write it as postgres://user@host:5432/database?sslmode=verify-full"}
	}
	_, has := u.User.Password()
	for name := range u.Query() {
		has = has || strings.Contains(strings.ToLower(name), "password")
	}
	if has {
		return "", &complaint{"holds a password", "move it to a file and name that in store.password_file"}
	}
	return text, nil
}

// withoutUser hides what a URL may hold of a password.
func withoutUser(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "…" + rest[at:]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 && strings.Contains(strings.ToLower(rest[i:]), "password") {
		rest = rest[:i] + "?…"
	}
	return scheme + "://" + rest
}

var (
	envNameForm   = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	keyPrefixForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
)

// envName refuses what may be the secret itself instead of a name.
func envName(_ *Settings, text string) *complaint {
	if !envNameForm.MatchString(text) {
		return &complaint{"is not the name of an environment variable", "write a name of capitals, digits and _ such as BRIDGE_KEY, and the secret into that variable"}
	}
	return nil
}

func onlyEnvName(text string) string {
	if envNameForm.MatchString(text) {
		return text
	}
	return redacted
}

func keyPrefix(text string) (string, *complaint) {
	if !keyPrefixForm.MatchString(text) {
		return "", &complaint{"is not usable in keys", "write 1 to 64 letters, digits, dots, colons, underscores or hyphens"}
	}
	return text, nil
}

func oneOf(choices ...string) func(string) (string, *complaint) {
	return func(text string) (string, *complaint) {
		for _, c := range choices {
			if strings.EqualFold(text, c) {
				return c, nil
			}
		}
		return "", &complaint{"is unknown", "write " + strings.Join(choices, " or ")}
	}
}

func logLevel(text string) (slog.Level, *complaint) {
	name, c := oneOf("debug", "info", "warn", "error")(text)
	if c != nil {
		return 0, c
	}
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return levels[name], nil
}

// durationBetween accepts least to most, both written as durations.
func durationBetween(least, most string, dst func(*Settings) *time.Duration) func(*Settings, string) *complaint {
	return into(dst, func(text string) (time.Duration, *complaint) {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, &complaint{"is not a duration", "write a number and a unit, such as 250ms, 30s or 5m"}
		}
		low, errLow := time.ParseDuration(least)
		high, errHigh := time.ParseDuration(most)
		if errLow != nil || errHigh != nil || d < low || d > high {
			return 0, &complaint{"is out of range", fmt.Sprintf("choose between %s and %s", least, most)}
		}
		return d, nil
	})
}

// size accepts least to most bytes, which are whole KiB and MiB.
func size(least, most int64) func(string) (int64, *complaint) {
	return func(text string) (int64, *complaint) {
		digits, factor := text, int64(1)
		if kib, ok := strings.CutSuffix(text, "KiB"); ok {
			digits, factor = kib, 1<<10
		} else if mib, ok := strings.CutSuffix(text, "MiB"); ok {
			digits, factor = mib, 1<<20
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		switch {
		case err != nil:
			return 0, &complaint{"is not a size", "write a number of bytes such as 1048576, or 512KiB or 1MiB"}
		case n < (least+factor-1)/factor || n > most/factor:
			return 0, &complaint{"is out of range", fmt.Sprintf("choose between %dKiB and %dMiB", least>>10, most>>20)}
		}
		return n * factor, nil
	}
}

func count(least, most int) func(string) (int, *complaint) {
	return func(text string) (int, *complaint) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, &complaint{"is not a usable number", fmt.Sprintf("write a whole number from %d to %d", least, most)}
		}
		return n, nil
	}
}

func rate(text string) (float64, *complaint) {
	if strings.EqualFold(text, "off") {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n > 1e6 {
		return 0, &complaint{"is not a rate", "write how many requests a second one credential may make, or off"}
	}
	// Microsoft Entra documentation: an app "must support at least 25 requests
	// per second per tenant".
	if n < 25 {
		return 0, &complaint{"is less than Microsoft Entra requires of an endpoint", "choose 25 or more, or off"}
	}
	return n, nil
}
