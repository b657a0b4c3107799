package doctor_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
)

const challenge = `Bearer realm="scim"`

// refuse answers as the bridge does.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.Header().Set("WWW-Authenticate", challenge)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%d","detail":%q}`, status, detail)
}

// deployed is what a sound deployment answers, with one directory of an hour.
func deployed(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/readyz":
		fmt.Fprint(w, `{"status":"ready","version":"v1","directories":[{"tenant":"acme","age_seconds":3600}]}`)
	case r.Header.Get("Authorization") == "":
		refuse(w, 401, "the request has no Authorization header")
	default:
		refuse(w, 401, "a token begins with sarb_")
	}
}

// over changes what a deployment answers, as a proxy in front of it.
func over(change func(w http.ResponseWriter, r *http.Request) (done bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !change(w, r) {
			deployed(w, r)
		}
	}
}

func TestPublicURL(t *testing.T) {
	_, between, roots := pki(t)
	cert := chain(issue(t, between, server("*.example.com")), between)
	known := func(at time.Time, slugs ...string) func(context.Context) (map[string]time.Time, error) {
		return func(context.Context) (map[string]time.Time, error) {
			all := map[string]time.Time{}
			for _, s := range slugs {
				all[s] = at
			}
			return all, nil
		}
	}
	hourOld := now.Add(-time.Hour)
	ready := func(status int, body string) http.HandlerFunc {
		return over(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/readyz" {
				return false
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		})
	}
	for _, tt := range []struct {
		name    string
		url     string
		address string
		handler http.HandlerFunc
		change  func(*doctor.PublicOptions)
		want    []string
	}{
		{"sound", "", public, deployed, nil, []string{"ok TLS works", "ok is refused by a bridge", "ok serves this database, version v1, ready"}},
		{"an underscore", "https://my_scim.example.com", public, deployed, nil, []string{"warning has an underscore, which Okta does not take"}},
		{"a private address", "", "10.1.2.3", deployed, nil, []string{"notice leads to 10.1.2.3, which Okta"}},
		{"a carrier's address", "", "100.64.1.1", deployed, nil, []string{"notice leads to 100.64.1.1, which Okta"}},
		{"no name", "", "", deployed, nil, []string{"warning does not resolve here"}},
		{"no encryption", "http://localhost", public, deployed, nil, []string{"notice is not encrypted", "error somebody else answers a request without a token: status 400"}},
		{"nobody there", "", public, deployed, func(o *doctor.PublicOptions) { o.Network = elsewhere(closedPort(t), public, roots) }, []string{"warning nobody listens on port 443"}},
		{"a redirection", "", public, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example.com/?token=hunter2", http.StatusFound)
		}, nil, []string{"error redirects to https://login.example.com/"}},
		{"somebody else", "", public, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }, nil, []string{"error somebody else answers a request without a token: status 200, text/html"}},
		{"a login of the proxy's", "", public, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "nginx")
			http.Error(w, "no", http.StatusUnauthorized)
		}, nil, []string{"error is refused by somebody else, or the answer is rewritten: status 401, text/plain, by nginx"}},
		{"no server behind the proxy", "", public, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) }, nil, []string{"error the bridge does not answer there: status 502"}},
		{"too many attempts", "", public, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 429, "too many") }, nil, []string{"notice takes no more failed authentications"}},
		{"no challenge", "", public, over(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/readyz" {
				return false
			}
			deployed(unchallenged{w}, r)
			return true
		}), nil, []string{"warning a proxy takes WWW-Authenticate from answers"}},
		{"no Authorization", "", public, over(func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Authorization")
			return false
		}), nil, []string{"error a proxy takes Authorization from requests"}},
		{"a proxy that knows tokens", "", public, over(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") == "" {
				return false
			}
			http.Error(w, "forbidden", http.StatusForbidden)
			return true
		}), nil, []string{"warning somebody else answers a request with a token: status 403"}},
		{"small bodies", "", public, over(func(w http.ResponseWriter, r *http.Request) bool {
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n < 256<<10 {
				return false
			}
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return true
		}), nil, []string{"warning a request with 1.0 MiB is answered by somebody else: status 413"}},
		{"not ready", "", public, ready(503, `{"status":"unavailable","version":"v1"}`), nil, []string{"error the server there says that it is unavailable"}},
		{"another deployment's tenants", "", public, deployed, func(o *doctor.PublicOptions) { o.Directories = known(hourOld, "globex") }, []string{"warning it is another deployment"}},
		{"more tenants here", "", public, deployed, func(o *doctor.PublicOptions) { o.Directories = known(hourOld, "acme", "globex") }, []string{"warning it is another deployment"}},
		{"another deployment's directory", "", public, deployed, func(o *doctor.PublicOptions) { o.Directories = known(now.Add(-30*time.Minute), "acme") }, []string{"warning it is another deployment"}},
		{"a directory that was never read", "", public, ready(200, `{"status":"degraded","version":"v1","directories":[{"tenant":"acme","age_seconds":null}]}`), func(o *doctor.PublicOptions) { o.Directories = known(time.Time{}, "acme") }, []string{"ok serves this database, version v1, degraded"}},
		{"a directory that was read meanwhile", "", public, deployed, func(o *doctor.PublicOptions) { o.Directories = known(now.Add(-time.Second), "acme") }, []string{"ok serves this database"}},
		{"a directory that was never read there", "", public, ready(200, `{"status":"degraded","version":"v1","directories":[{"tenant":"acme","age_seconds":null}]}`), nil, []string{"warning it is another deployment"}},
		{"health hidden", "", public, ready(404, "nothing"), nil, []string{"ok is refused by a bridge"}},
		{"metrics apart", "", public, ready(503, `{"status":"unavailable","version":"v1"}`), func(o *doctor.PublicOptions) { o.MetricsApart = true }, []string{"ok is refused by a bridge"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := tt.url
			if address == "" {
				address = "https://" + host
			}
			u, err := url.Parse(address)
			check(t, err)
			o := doctor.PublicOptions{
				URL: u, BodyBytes: 1 << 20, Network: elsewhere(serveTLS(t, cert, tt.handler, nil), tt.address, roots), Directories: known(hourOld, "acme"),
			}
			if tt.change != nil {
				tt.change(&o)
			}
			found := look(t, doctor.CheckPublicURL(o))
			expect(t, found, tt.want...)
			if strings.Contains(lines(found), "hunter2") {
				t.Errorf("a secret is shown:\n%s", lines(found))
			}
		})
	}
}

// unchallenged drops WWW-Authenticate.
type unchallenged struct{ http.ResponseWriter }

func (w unchallenged) WriteHeader(status int) {
	w.Header().Del("WWW-Authenticate")
	w.ResponseWriter.WriteHeader(status)
}

// What the fakes above answer is what the bridge answers.
func TestPublicURLOfABridge(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{})
	u, err := url.Parse(strings.TrimSuffix(s.Base, "/scim/v2"))
	check(t, err)
	found := look(t, doctor.CheckPublicURL(doctor.PublicOptions{URL: u, BodyBytes: 1 << 20, Directories: func(ctx context.Context) (map[string]time.Time, error) {
		d, err := s.Store.Directory(ctx, "acme")
		return map[string]time.Time{"acme": d.CompletedAt}, err
	}}))
	expect(t, found, "notice is not encrypted", "notice leads to 127.0.0.1", "ok is refused by a bridge", "ok serves this database")
}
