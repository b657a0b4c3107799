package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PublicOptions are what CheckPublicURL looks at.
type PublicOptions struct {
	// URL is public_url.
	URL *url.URL
	// MetricsApart says that /healthz and /readyz are not served there.
	MetricsApart bool
	// BodyBytes is limits.body_bytes.
	BodyBytes int64
	// Directories says of every tenant when its directory was read, as the store
	// has it; zero is never. nil: not known.
	Directories func(context.Context) (map[string]time.Time, error)
	Network     Network
}

// CheckPublicURL checks the address that identity providers use: its form, DNS,
// TLS, that this deployment answers there, and what a proxy on the way does to
// requests. That it cannot be reached from here is a Warning: a network may not
// lead its own hosts back in by the address that others use.
//
// It sends a handful of requests, one of them as large as limits.body_bytes
// allows, none with a token that anybody has.
func CheckPublicURL(o PublicOptions) Check {
	o.Network = o.Network.withDefaults()
	return Check{Name: PublicURL, Look: func(ctx context.Context) []Finding {
		p := &public{o: o, where: "public_url " + o.URL.String()}
		p.look(ctx)
		return p.findings
	}}
}

type public struct {
	findings
	o     PublicOptions
	where string
}

// elsewhere is how to find out from another network.
func (p *public) elsewhere() string {
	return "see that a server runs there, and try from another network: curl -i " + p.o.URL.String() + "/scim/v2/Users (401 is right)"
}

func (p *public) look(ctx context.Context) {
	p.form()
	if !p.resolves(ctx) || !p.reach(ctx, p.o.Network, p.o.URL, p.where, Warning, p.elsewhere()) {
		return
	}
	refusal := p.refuses(ctx)
	if refusal == "" {
		return
	}
	p.passesAuthorization(ctx, refusal)
	p.passesBodies(ctx)
	p.ours(ctx)
}

// form judges the address by itself.
func (p *public) form() {
	if strings.Contains(p.o.URL.Host+p.o.URL.Path, "_") {
		// https://developer.okta.com/docs/guides/scim-provisioning-integration-prepare
		p.add(Warning, p.where, "choose a name and a path without _", "has an underscore, which Okta does not take in a base URL")
	}
	if p.o.URL.Scheme == "http" {
		p.add(Notice, p.where, "use https as soon as others are to reach it", "is not encrypted, which is for this machine alone")
	}
}

// resolves reports whether the name leads anywhere.
func (p *public) resolves(ctx context.Context) bool {
	all, err := p.o.Network.addresses(ctx, p.o.URL)
	if err != nil {
		p.add(Warning, p.where, "make a DNS record for it; or "+p.elsewhere(), "does not resolve here: %s", reason(err))
		return false
	}
	if hidden := slices.DeleteFunc(slices.Clone(all), isPublic); len(hidden) > 0 {
		p.add(Notice, p.where, "give it an address that the Internet reaches, unless an agent in your network provisions",
			"leads to %s, which Okta and Microsoft Entra ID cannot reach", join(hidden))
	}
	return true
}

// isPublic says that an address can be reached from the Internet, as far as
// that can be told from it. 100.64.0.0/10 is a carrier's own (RFC 6598).
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

func join(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// refusal is what of a SCIM error is looked at (RFC 7644 §3.12).
type refusal struct {
	Schemas []string
	Status  string
	Detail  string
}

// scimError reads the body of a SCIM error with the answer's status.
func (r *reply) scimError() (refusal, bool) {
	var e refusal
	if json.Unmarshal(r.body, &e) != nil {
		return e, false
	}
	return e, slices.Contains(e.Schemas, "urn:ietf:params:scim:api:messages:2.0:Error") && e.Status == strconv.Itoa(r.status)
}

// describe is an answer that is not ours.
func (r *reply) describe() string {
	media, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		media = "of no type"
	}
	text := fmt.Sprintf("status %d, %s", r.status, media)
	if server := r.header.Get("Server"); server != "" {
		text += ", by " + server
	}
	return clip(text)
}

// refuses asks without a credential. It returns the detail of the 401, or ""
// when the answer is not the bridge's.
func (p *public) refuses(ctx context.Context) string {
	r, err := p.o.Network.do(ctx, request{method: http.MethodGet, url: p.users()})
	if err != nil {
		p.add(Warning, p.where, p.elsewhere(), "does not answer: %s", reason(err))
		return ""
	}
	e, ours := r.scimError()
	switch {
	case r.status >= 300 && r.status < 400:
		p.add(Error, p.where, "write in public_url where it leads, or take the redirection away", "redirects to %s: identity providers do not follow with their token", destination(r.header.Get("Location")))
		return ""
	case ours && r.status == http.StatusTooManyRequests:
		p.add(Notice, p.where, "run doctor again in a minute", "is served by a bridge, which takes no more failed authentications from here at the moment")
		return ""
	case r.status == http.StatusUnauthorized && !ours:
		p.add(Error, p.where, "have the proxy pass answers on as they are (nginx: proxy_intercept_errors off), and ask for no credential of its own",
			"a request without a token is refused by somebody else, or the answer is rewritten: %s", r.describe())
		return ""
	case r.status == http.StatusUnauthorized && r.header.Get("WWW-Authenticate") == "":
		p.add(Warning, p.where, "have the proxy pass the header WWW-Authenticate on", "a proxy takes WWW-Authenticate from answers: some clients then do not send their token")
	case r.status == http.StatusUnauthorized:
		p.ok(p.where, "a request without a token is refused by a bridge, in %s", span(r.took))
	case r.status >= 500:
		p.add(Error, p.where, "start the server; have the proxy pass /scim/v2 to it", "the bridge does not answer there: %s", r.describe())
		return ""
	default:
		p.add(Error, p.where, "have the proxy pass "+p.o.URL.Path+"/scim/v2 on with its whole path, and nothing else answer there",
			"somebody else answers a request without a token: %s", r.describe())
		return ""
	}
	return e.Detail
}

// destination is where a redirection leads, without what may be a secret.
func destination(location string) string {
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return "nowhere"
	}
	return clip((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

func (p *public) users() string { return p.o.URL.String() + "/scim/v2/Users?count=1" }

// passesAuthorization sends a token that nobody has: the bridge refuses it in
// other words than none.
func (p *public) passesAuthorization(ctx context.Context, without string) {
	r, err := p.o.Network.do(ctx, request{method: http.MethodGet, url: p.users(), header: map[string]string{"Authorization": "Bearer doctor-has-none"}})
	if err != nil {
		p.add(Warning, p.where, p.elsewhere(), "does not answer any more: %s", reason(err))
		return
	}
	switch e, ours := r.scimError(); {
	case ours && r.status == http.StatusUnauthorized && e.Detail == without:
		p.add(Error, p.where, "have the proxy pass the header Authorization on", "a proxy takes Authorization from requests: every token is refused")
	case !ours || r.status != http.StatusUnauthorized:
		p.add(Warning, p.where, "have the proxy pass requests with Authorization on to the bridge, and judge none itself", "somebody else answers a request with a token: %s", r.describe())
	}
}

// passesBodies sends a body just within limits.body_bytes. The bridge refuses
// the request before it reads it.
func (p *public) passesBodies(ctx context.Context) {
	n := min(p.o.BodyBytes, 1<<20)
	if n <= 0 {
		return
	}
	r, err := p.o.Network.do(ctx, request{
		method: http.MethodPost, url: p.o.URL.String() + "/scim/v2/Users", body: bytes.NewReader(bytes.Repeat([]byte(" "), int(n))),
		header: map[string]string{"Content-Type": "application/scim+json"},
	})
	if err != nil {
		return // refused before it was sent, as it may be
	}
	if _, ours := r.scimError(); !ours {
		p.add(Warning, p.where, "allow bodies of limits.body_bytes in the proxy (nginx: client_max_body_size), and no filter on what they say",
			"a request with %s is answered by somebody else: %s", size(n), r.describe())
	}
}

// sameAge is how far two views of a directory's age may be apart: a look at it
// is kept for a second, and clocks differ.
const sameAge = 15 * time.Second

// ours finds out whether it is this deployment that answers, by what both know
// of the tenants. Where health is not served, nothing is known, which is well.
func (p *public) ours(ctx context.Context) {
	if p.o.MetricsApart {
		return
	}
	before, errBefore := p.directories(ctx)
	r, err := p.o.Network.do(ctx, request{method: http.MethodGet, url: p.o.URL.Scheme + "://" + p.o.URL.Host + "/readyz"})
	if err != nil {
		return
	}
	var h struct {
		Status      string
		Version     string
		Directories []directoryAge
	}
	if json.Unmarshal(r.body, &h) != nil || h.Status == "" || h.Version == "" {
		return
	}
	if r.status != http.StatusOK {
		p.add(Error, p.where, "the log of the server says why; see the check store", "the server there says that it is %s", clip(h.Status))
		return
	}
	after, err := p.directories(ctx) // one may have been read meanwhile
	if err = cmp.Or(errBefore, err); err != nil || before == nil {
		return
	}
	same := len(h.Directories) == len(after)
	for _, d := range h.Directories {
		same = same && (d.is(before, r.midpoint) || d.is(after, r.midpoint))
	}
	if !same {
		p.add(Warning, p.where, "compare store.url with that of the server there", "the bridge there knows other tenants, or other things of them, than this database: it is another deployment")
		return
	}
	p.ok(p.where, "serves this database, version %s, %s", clip(h.Version), clip(h.Status))
}

func (p *public) directories(ctx context.Context) (map[string]time.Time, error) {
	if p.o.Directories == nil {
		return nil, nil
	}
	return p.o.Directories(ctx)
}

// directoryAge is how readiness shows a directory.
type directoryAge struct {
	Tenant string
	Age    *int64 `json:"age_seconds"`
}

// is says that the store may have the tenant with a directory of that age. One
// that was read a moment ago may not have been when readiness looked.
func (d directoryAge) is(known map[string]time.Time, now time.Time) bool {
	at, ok := known[d.Tenant]
	age := now.Sub(at)
	switch {
	case !ok:
		return false
	case at.IsZero() || d.Age == nil:
		return at.IsZero() && d.Age == nil || age < sameAge
	}
	return age < sameAge || (age-time.Duration(*d.Age)*time.Second).Abs() < sameAge
}
