package tenantconfig

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/upstream"
)

// maxBurst bounds upstream.burst; a larger one is no limit at all.
const maxBurst = 10_000

// reservedSlugs cannot name a tenant: they are names of the bridge's own
// routes and actors, where a tenant of that name could be taken for them.
var reservedSlugs = []string{
	"admin", "api", "assets", "auth", "bridge", "bulk", "cli", "console", "credential", "credentials", "healthz",
	"login", "logout", "me", "metrics", "oauth", "oidc", "operator", "readyz", "root", "sandbox", "scim", "sso",
	"static", "system", "tenant", "tenants", "token", "tokens", "well-known",
}

// CheckSlug reports why s cannot name a tenant, or nil.
func CheckSlug(s string) error {
	if f, bad := slugFault(s); bad {
		return f
	}
	return nil
}

// Error makes a Fault an error of its own.
func (f Fault) Error() string { return f.String() }

func slugFault(s string) (Fault, bool) {
	f := Fault{Path: "slug", Value: s}
	switch {
	case s == "":
		f.Wrong, f.Remedy = "missing", "give the tenant a short name such as acme, for ever"
	case !isSlug(s):
		f.Wrong = "not a slug"
		f.Remedy = "use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit"
	case slices.Contains(reservedSlugs, s):
		f.Wrong, f.Remedy = "this name is reserved", "choose another one, such as "+s+"-corp"
	default:
		return Fault{}, false
	}
	return f, true
}

func isSlug(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// check judges what was read. A value that could not be read has its fault
// already, so an absence is a fault only where there is none.
func (r *reader) check(c *Config, secret, key secretSource) {
	if f, bad := slugFault(c.Slug); bad && (c.Slug != "" || !r.hasFault("slug")) {
		r.faults = append(r.faults, f)
	}
	if c.Name = strings.TrimSpace(c.Name); c.Name == "" && !r.hasFault("name") {
		c.Name = c.Slug
	}
	if len(c.Name) > 200 || strings.ContainsFunc(c.Name, isControl) {
		r.fault("name", c.Name, "use at most 200 bytes of plain text", "too long, or contains a control character")
	}
	r.checkUpstream(&c.Upstream, secret, key)
	r.checkOrganizations(c.Organizations)
	r.checkDomains(c.Domains)
	if strings.TrimSpace(c.DefaultRole) == "" && !r.hasFault("default_role") {
		r.fault("default_role", "", "name the upstream role that people get, such as Viewer", "missing")
	}
	oneOf(r, "provisioning", c.Provisioning, Invite, Create)
	oneOf(r, "adopt", c.Adopt, mapping.AdoptNever, mapping.AdoptVerifiedDomain)
	r.checkRules(c)
	r.checkProtected(&c.Guards.Protected)
}

func isControl(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 }

// hasFault reports whether the value at the path, or a part of it, is faulty:
// its absence is then no fault of its own.
func (r *reader) hasFault(path string) bool {
	return r.meant[path] || slices.ContainsFunc(r.faults, func(f Fault) bool {
		return f.Path == path || strings.HasPrefix(f.Path, path+".") || strings.HasPrefix(f.Path, path+"[")
	})
}

// isFaulty reports whether the value at the path as a whole is faulty.
func (r *reader) isFaulty(path string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Path == path })
}

func oneOf[T ~string](r *reader, path string, v T, have ...T) {
	if slices.Contains(have, v) || r.hasFault(path) {
		return
	}
	names := make([]string, len(have))
	for i := range have {
		names[i] = string(have[i])
	}
	remedy := "use " + strings.Join(names, " or ")
	if c := Closest(string(v), names); c != "" {
		remedy = fmt.Sprintf("did you mean %q?", c)
	}
	r.fault(path, string(v), remedy, "unknown choice")
}

func (r *reader) checkUpstream(u *Upstream, secret, key secretSource) {
	if !r.hasFault("upstream.base_url") {
		base, f, bad := readBaseURL(u.BaseURL)
		if bad {
			r.faults = append(r.faults, f)
		}
		u.BaseURL = base
	}
	faulty := slices.ContainsFunc(r.faults, func(f Fault) bool {
		return f.Path == "upstream" || strings.HasPrefix(f.Path, "upstream.client_") || strings.HasPrefix(f.Path, "upstream.api_key")
	})
	client := u.ClientID != "" || secret.given()
	switch {
	case client && key.given():
		r.fault("upstream", "", "leave out either client_id and client_secret_env (or _file), or api_key_env (or _file)", "two credentials")
	case !client && !key.given():
		if !faulty {
			r.fault("upstream", "", "give client_id and client_secret_env (or client_secret_file), or api_key_env (or api_key_file)", "no credential")
		}
	case client && u.ClientID == "":
		r.fault("upstream.client_id", "", "give the id that belongs to the client secret", "missing")
	case client && !secret.given():
		if !faulty {
			r.fault("upstream.client_secret_env", "", "name the environment variable that holds the secret, or a file by client_secret_file", "missing")
		}
	}
	if math.IsNaN(u.Rate) || u.Rate < 0 || u.Rate > 1e6 {
		r.fault("upstream.rate", strconv.FormatFloat(u.Rate, 'g', -1, 64), "give the calls a second that the credential is allowed; 0 is no limit", "not between 0 and 1000000")
	}
	if u.Burst < 0 || u.Burst > maxBurst {
		r.fault("upstream.burst", "", "give how many calls may go out at once after a pause; 0 is one", "not between 0 and %d", maxBurst)
	}
	r.checkEndpoints(u.Endpoints)
}

// checkEndpoints lets the client judge: it alone knows its operations.
func (r *reader) checkEndpoints(endpoints map[string]string) {
	if len(endpoints) == 0 || r.hasFault("upstream.endpoints") {
		return
	}
	client, err := upstream.New(upstream.Options{BaseURL: "https://upstream.invalid", APIKey: "unused", Endpoints: endpoints})
	if err == nil {
		client.Close()
		return
	}
	for line := range strings.Lines(err.Error()) {
		path, wrong, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.fault(path, "", "", "%s", wrong)
	}
}

// readBaseURL gives the one form of a base URL, by which the store tells
// whether two tenants have the same upstream.
func readBaseURL(s string) (base string, f Fault, bad bool) {
	f = Fault{Path: "upstream.base_url", Value: s}
	if s == "" {
		f.Wrong, f.Remedy = "missing", "give the address of the Share A Refund API, such as https://api.example.com"
		return "", f, true
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		f.Value, f.Wrong = "", "not a URL"
		f.Remedy = "write https://host[:port][/prefix]"
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		f.Value, f.Wrong = "", "contains a user, query or fragment"
		f.Remedy = "write https://host[:port][/prefix]; credentials have keys of their own"
	case (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.Opaque != "":
		f.Wrong, f.Remedy = "not an absolute http URL", "write https://host[:port][/prefix]"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		f.Wrong, f.Remedy = "unencrypted: credentials and people's data would cross the network in the clear", "use https (http is for loopback addresses only)"
	default:
		host := strings.ToLower(u.Host)
		if port := u.Port(); port == "" || port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
			host = strings.TrimSuffix(host, ":"+port)
		}
		return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/"), Fault{}, false
	}
	return "", f, true
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *reader) checkOrganizations(ids []int64) {
	if len(ids) == 0 && !r.hasFault("organizations") {
		r.fault("organizations", "", "list the ids of the upstream organizations to manage, the default one first: [113, 114]", "missing")
	}
	for i, id := range ids {
		path := fmt.Sprintf("organizations[%d]", i)
		switch {
		case r.hasFault(path):
		case id <= 0:
			r.fault(path, strconv.FormatInt(id, 10), "write the id that upstream shows", "not a positive id")
		case slices.Index(ids, id) < i:
			r.fault(path, strconv.FormatInt(id, 10), "list each organization once", "repeated")
		}
	}
}

// Labels of letters, digits and inner hyphens; an internationalized domain
// has its ASCII form (RFC 5890 §2.3.2.1).
var domainPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// checkDomains folds the domains in place.
func (r *reader) checkDomains(domains []string) {
	for i, d := range domains {
		path := fmt.Sprintf("domains[%d]", i)
		domains[i] = strings.ToLower(d)
		switch {
		case r.hasFault(path):
		case len(d) > 253 || !domainPattern.MatchString(domains[i]):
			r.fault(path, d, "write a domain such as example.com, without @; for one with other letters its ASCII form, xn--…", "not a domain name")
		case slices.Index(domains, domains[i]) < i:
			r.fault(path, d, "list each domain once", "repeated")
		}
	}
}
