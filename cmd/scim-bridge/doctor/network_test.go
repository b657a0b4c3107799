package doctor_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
)

// Every fault of a certificate is told from the others, and a sound one is
// accepted.
func TestCertificates(t *testing.T) {
	root, between, roots := pki(t)
	leaf := func(from, until time.Duration) *authority {
		c := server(host)
		c.NotBefore, c.NotAfter = now.Add(from), now.Add(until)
		return issue(t, between, c)
	}
	const day = 24 * time.Hour
	oldBetween := ca("Old")
	oldBetween.NotAfter = now.Add(-day)
	expired := issue(t, root, oldBetween)
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		tls  func(*tls.Config)
		want []string
	}{
		{"sound", chain(leaf(-day, 60*day), between), nil, []string{"ok TLS works; the certificate is valid until 2026-05-01"}},
		{"nearing its end", chain(leaf(-day, 20*day), between), nil, []string{"notice the certificate expires in 20 days, on 2026-03-22"}},
		{"about to end", chain(leaf(-day, 3*day), between), nil, []string{"warning the certificate expires in 3 days"}},
		{"expired", chain(leaf(-9*day, -3*day), between), nil, []string{"error the certificate expired 3 days ago, on 2026-02-27"}},
		{"of the future", chain(leaf(day, 9*day), between), nil, []string{"error is not valid before 2026-03-03T10:00:00Z"}},
		{"of another name", chain(issue(t, between, server("other.example.com")), between), nil, []string{"error the certificate is not for scim.example.com, but for other.example.com"}},
		{"incomplete", chain(leaf(-day, 60*day)), nil, []string{"error the chain is incomplete: the certificate of Between is missing"}},
		{"signed by itself", chain(issue(t, nil, server(host))), nil, []string{"error the certificate is signed by itself"}},
		{"of a private authority", chain(issue(t, issue(t, nil, ca("Private")), server(host)), between), nil, []string{"error does not lead to an authority"}},
		{"behind an intermediate that expired", chain(issue(t, expired, server(host)), expired), nil, []string{"error the intermediate certificate of Old expired 24h ago"}},
		{"an old TLS", chain(leaf(-day, 60*day), between), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, []string{"error speaks no TLS newer than 1.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := serveTLS(t, tt.cert, http.NotFoundHandler(), tt.tls)
			expect(t, look(t, doctor.CheckUpstream(elsewhere(addr, public, roots), "https://"+host)), tt.want...)
		})
	}
}

func TestUpstream(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "https://user:hunter2@www.example.com/home?token=hunter2", http.StatusFound)
		}
	}))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	for _, tt := range []struct {
		name, url string
		network   doctor.Network
		want      []string
	}{
		{"sound", "http://api.example.com", elsewhere(addr, public, nil), []string{"ok answers in"}},
		{"redirected", "http://api.example.com/moved", elsewhere(addr, public, nil), []string{"notice redirects to https://www.example.com/home"}},
		{"no name", "http://api.example.com", elsewhere(addr, "", nil), []string{"error does not resolve: the name api.example.com is not in the DNS"}},
		{"closed", "http://api.example.com:81", elsewhere(closedPort(t), public, nil), []string{"error nobody listens on port 81"}},
		{"no TLS", "https://api.example.com", elsewhere(addr, public, nil), []string{"error no TLS is spoken on port 443"}},
		{"no URL", "http://[", elsewhere(addr, public, nil), []string{"error upstream.base_url is not a URL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, look(t, doctor.CheckUpstream(tt.network, tt.url)), tt.want...)
		})
	}
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name string
		date string
		want string
	}{
		{"the same", now.Format(http.TimeFormat), "ok agrees"},
		{"a little ahead", now.Add(25 * time.Second).Format(http.TimeFormat), "ok agrees"},
		{"ahead", now.Add(40 * time.Second).Format(http.TimeFormat), "warning this host's clock is 41s behind it"},
		{"far behind", now.Add(-time.Hour).Format(http.TimeFormat), "error this host's clock is 1h ahead of it"},
		{"none", "noon", "notice not compared: its answer has no usable Date"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", tt.date) }))
			defer srv.Close()
			expect(t, look(t, doctor.CheckClock([]doctor.ClockSource{doctor.Dated("upstream", doctor.Network{Now: clock}, srv.URL)})), tt.want)
		})
	}
	expect(t, look(t, doctor.CheckClock([]doctor.ClockSource{doctor.Dated("upstream", doctor.Network{Now: clock}, "http://"+closedPort(t))})), "notice not compared")
	expect(t, look(t, doctor.CheckClock(nil)), "ok nobody to compare")
}
