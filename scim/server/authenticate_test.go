package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

func TestCredentials(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	const path = "/scim/v2/Users/user-1"
	for _, header := range []string{"Authorization: bearer " + goodToken, "Authorization: BEARER " + goodToken} {
		want(t, r.do(t, request("GET", path, "", header)), 200, "")
	}
	twice := request("GET", path, "")
	twice.Header.Add("Authorization", "Bearer "+goodToken)
	want(t, r.do(t, twice), 401, "")
	want(t, r.do(t, request("GET", path, "", "Authorization: Bearer "+strings.Repeat("a", 20_000))), 401, "")
	want(t, r.do(t, request("GET", path, "", "Authorization: Bearer "+strings.Repeat("a", 1<<20))), 431, "")
	want(t, r.do(t, request("GET", path+"?access_token="+goodToken, "")), 401, "")
	want(t, r.do(t, request("GET", path+"?a=%zz&ACCESS_TOKEN="+goodToken, "")), 401, "")
	if strings.Contains(r.log(), goodToken) {
		t.Error("the log has the token")
	}
}

// I8: a failure to check a credential never looks like a bad one.
func TestAuthenticationErrors(t *testing.T) {
	var none *scim.Error
	tests := []struct {
		name   string
		id     Identity
		err    error
		status int
	}{
		{"database down", Identity{}, errors.New("dial tcp 10.0.0.7:5432: refused"), 503},
		{"deadline", Identity{}, context.DeadlineExceeded, 503},
		{"refused", Identity{}, &scim.Error{Status: 401, Detail: "the token has expired"}, 401},
		{"wrapped refusal", Identity{}, fmt.Errorf("token: %w", &scim.Error{Status: 401, Detail: "the token has expired"}), 401},
		{"forbidden", Identity{}, scim.Forbidden("the tenant is suspended"), 403},
		{"overloaded", Identity{}, scim.TooManyRequests(1500*time.Millisecond, "slow down"), 429},
		{"nil pointer", Identity{}, none, 500},
		{"no tenant", Identity{Credential: "c"}, nil, 500},
		{"no credential", Identity{Tenant: "acme"}, nil, 500},
		{"nothing", Identity{}, nil, 500},
		{"unknown client", Identity{Tenant: "acme", Credential: "c", Client: "netscape"}, nil, 500},
		{"unknown evidence", Identity{Tenant: "acme", Credential: "c", Evidence: "netscape"}, nil, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(o *Options) {
				o.Authenticate = func(*http.Request) (Identity, error) { return tt.id, tt.err }
			})
			for _, path := range []string{"/scim/v2/Users", "/scim/v2/Schemas", "/nothing"} {
				rec := r.do(t, request("GET", path, ""))
				e := want(t, rec, tt.status, "")
				if strings.Contains(e.Detail, "10.0.0.7") || strings.Contains(e.Detail, "netscape") {
					t.Errorf("detail %q", e.Detail)
				}
			}
			if r.users.callCount() != 0 {
				t.Error("the handler was called")
			}
		})
	}
}

func TestAuthenticateSeesADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.Authenticate = func(req *http.Request) (Identity, error) {
				<-req.Context().Done()
				return Identity{}, req.Context().Err()
			}
		})
		start := time.Now()
		want(t, r.do(t, request("POST", "/scim/v2/Users", adaBody)), 503, "")
		if took := time.Since(start); took != 25*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
}

func TestFailedAttemptsAreLimitedPerAddress(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRig(t, func(o *Options) {
		o.FailedAuthPerMinute = 60
		o.Now = func() time.Time { return now }
	}).with(t, 1)
	try := func(addr string, headers ...string) int {
		req := request("GET", "/scim/v2/Users/user-1", "", headers...)
		req.RemoteAddr = addr
		return r.do(t, req).Code
	}
	bad := "Authorization: Bearer wrong"
	for i := range 60 {
		if got := try("203.0.113.9:4000", bad); got != 401 {
			t.Fatalf("attempt %d: %d", i, got)
		}
	}
	for range 5 {
		if got := try("203.0.113.9:4001", bad); got != 429 {
			t.Errorf("beyond the limit: %d", got)
		}
	}
	if got := try("203.0.113.9:4002", "-Authorization"); got != 429 {
		t.Errorf("without a credential: %d", got)
	}
	if got := try("203.0.113.9:4003"); got != 200 {
		t.Errorf("a good credential from the same address: %d", got)
	}
	if got := try("203.0.113.10:4000", bad); got != 401 {
		t.Errorf("another address: %d", got)
	}
	now = now.Add(1100 * time.Millisecond)
	if a, b := try("203.0.113.9:1", bad), try("203.0.113.9:1", bad); a != 401 || b != 429 {
		t.Errorf("a second later: %d, %d", a, b)
	}
	now = now.Add(time.Hour)
	for range 60 {
		if got := try("[2001:db8::1]:1", bad); got != 401 {
			t.Fatalf("IPv6: %d", got)
		}
	}
	if got := try("[2001:db8::2:0:0:1]:1", bad); got != 429 {
		t.Errorf("the same /64: %d", got)
	}
	if got := try("[2001:db8:0:1::1]:1", bad); got != 401 {
		t.Errorf("another /64: %d", got)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	a := newAttempts(2)
	now := time.Unix(1_700_000_000, 0)
	for i := range 5 * maxAddresses {
		a.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
		if n := len(a.current) + len(a.previous); n > 2*maxAddresses {
			t.Fatalf("%d addresses are held", n)
		}
	}
	// A rotation by age must not forgive an address that goes on.
	addr := netip.MustParseAddr("192.0.2.1")
	a = newAttempts(2)
	allowed := 0
	for range 1200 {
		if a.failed(addr, now) == 0 {
			allowed++
		}
		now = now.Add(500 * time.Millisecond)
	}
	if allowed < 20 || allowed > 22 {
		t.Errorf("%d attempts in ten minutes at 2 a minute", allowed)
	}
}

func TestClientAddress(t *testing.T) {
	s := &server{Options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"direct", "203.0.113.9:1", nil, "203.0.113.9"},
		{"spoofed from outside", "203.0.113.9:1", []string{"1.2.3.4"}, "203.0.113.9"},
		{"proxy", "10.1.1.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"proxy that names a port", "10.1.1.1:1", []string{"203.0.113.9:5555"}, "203.0.113.9"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"mapped", "[::ffff:10.1.1.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"two proxies", "10.1.1.1:1", []string{"203.0.113.9, 10.2.2.2"}, "203.0.113.9"},
		{"two headers", "10.1.1.1:1", []string{"203.0.113.9", "10.2.2.2"}, "203.0.113.9"},
		{"spoofed through the proxy", "10.1.1.1:1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"only proxies", "10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"nothing forwarded", "10.1.1.1:1", nil, "10.1.1.1"},
		{"garbage", "10.1.1.1:1", []string{"unknown"}, "10.1.1.1"},
		{"garbage left of a proxy", "10.1.1.1:1", []string{"evil, 10.2.2.2"}, "10.2.2.2"},
		{"endless", "10.1.1.1:1", []string{strings.Repeat("10.2.2.2,", 100_000) + "10.2.2.2"}, "10.2.2.2"},
		{"socket", "@", []string{"1.2.3.4"}, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			if got := s.clientAddr(req).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	for _, tt := range []struct{ peer, sent, want string }{
		{"10.0.0.1:1", "trace-42", "trace-42"},
		{"203.0.113.9:1", "trace-42", "req-1"},
		{"10.0.0.1:1", "a b\n", "req-1"},
		{"10.0.0.1:1", strings.Repeat("a", 65), "req-1"},
		{"10.0.0.1:1", "", "req-1"},
	} {
		req := request("GET", "/scim/v2/Users", "")
		req.RemoteAddr = tt.peer
		req.Header["X-Request-Id"] = []string{tt.sent}
		if got := r.do(t, req).Header().Get("X-Request-Id"); got != tt.want {
			t.Errorf("%q from %s: %q, want %q", tt.sent, tt.peer, got, tt.want)
		}
		if !strings.Contains(r.log(), `"request_id":"`+tt.want+`"`) {
			t.Errorf("the log lacks %s", tt.want)
		}
	}
	h, err := New(validOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := h.(*server).NewRequestID(), h.(*server).NewRequestID(); a == b || !validID(a) {
		t.Errorf("ids %q and %q", a, b)
	}
}
