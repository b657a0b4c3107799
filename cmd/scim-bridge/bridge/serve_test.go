package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// served is a bridge that Serve runs, beside the stack whose store and
// upstream it has.
type served struct {
	t            *testing.T
	base, health string
	token        string
	client       *http.Client
	stop         context.CancelFunc
	done         chan error
	close        func() error
}

func serve(t *testing.T, s *bridgetest.Stack, options bridge.Options, o bridge.ServeOptions) *served {
	t.Helper()
	b, err := bridge.New(options)
	if err != nil {
		t.Fatal(err)
	}
	l, ops := listener(t), listener(t)
	ctx, cancel := context.WithCancel(t.Context())
	v := &served{
		t: t, base: "http://" + l.Addr().String() + "/scim/v2", health: "http://" + ops.Addr().String(), token: s.Token,
		client: &http.Client{Transport: new(http.Transport)}, stop: cancel, done: make(chan error, 1), close: b.Close,
	}
	ready := make(chan struct{})
	o.Operator, o.Ready = ops, func() { close(ready) }
	go func() { v.done <- b.Serve(ctx, l, o) }()
	<-ready
	return v
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// get answers a GET: status and body.
func (v *served) get(url string) (int, string) {
	v.t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+v.token)
	resp, err := v.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// options catches the stack's own.
func options(cfg *bridgetest.Config) *bridge.Options {
	var caught bridge.Options
	cfg.Change = func(o *bridge.Options) { caught = *o }
	return &caught
}

// Readiness fails first, requests are served on, those under way finish, and
// nothing is left running.
func TestI15ServeStopsGracefully(t *testing.T) {
	var cfg bridgetest.Config
	o := options(&cfg)
	s := bridgetest.Start(t, cfg)
	id := s.Must(201, "POST", "/Users", bridgetest.User("ada@example.com")).ID()
	before := goleak.IgnoreCurrent()

	v := serve(t, s, *o, bridge.ServeOptions{DrainDelay: 300 * time.Millisecond})
	if status, body := v.get(v.base + "/Users/" + id); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if err := s.Sandbox.SetFaults([]sandbox.Rule{{Operation: "get_user", Gate: "slow"}}); err != nil {
		t.Fatal(err)
	}
	slow := make(chan int, 1)
	go func() {
		status, _ := v.get(v.base + "/Users/" + id)
		slow <- status
	}()
	waiting := func() bool {
		for _, g := range s.Sandbox.Gates() {
			if g.Name == "slow" && g.Waiting > 0 {
				return true
			}
		}
		return false
	}
	until(t, waiting)

	v.stop()
	until(t, func() bool { status, _ := v.get(v.health + "/readyz"); return status == 503 })
	if _, body := v.get(v.health + "/readyz"); !strings.Contains(body, `"status": "draining"`) {
		t.Errorf("readiness says %s", body)
	}
	if status, body := v.get(v.base + "/ServiceProviderConfig"); status != 200 {
		t.Errorf("a request during the drain: %d %s", status, body)
	}
	until(t, func() bool { status, _ := v.get(v.base + "/ServiceProviderConfig"); return status == 0 })
	if status, _ := v.get(v.health + "/healthz"); status != 200 {
		t.Errorf("health during the shutdown: %d", status)
	}
	if err := s.Sandbox.OpenGate("slow"); err != nil {
		t.Fatal(err)
	}
	if status := <-slow; status != 200 {
		t.Errorf("the request under way: %d", status)
	}
	if err := <-v.done; err != nil {
		t.Error(err)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
	v.client.CloseIdleConnections()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// Requests that use the time up are cut off; the background work still has
// time to end, and that is no error.
func TestServeCutsOff(t *testing.T) {
	var cfg bridgetest.Config
	o := options(&cfg)
	s := bridgetest.Start(t, cfg)
	id := s.Must(201, "POST", "/Users", bridgetest.User("ada@example.com")).ID()
	v := serve(t, s, *o, bridge.ServeOptions{ShutdownTimeout: time.Millisecond})
	defer v.close()
	if err := s.Sandbox.SetFaults([]sandbox.Rule{{Operation: "get_user", Gate: "slow"}}); err != nil {
		t.Fatal(err)
	}
	cut := make(chan int, 1)
	go func() {
		status, _ := v.get(v.base + "/Users/" + id)
		cut <- status
	}()
	until(t, func() bool {
		return slices.ContainsFunc(s.Sandbox.Gates(), func(g sandbox.Gate) bool { return g.Name == "slow" && g.Waiting > 0 })
	})
	v.stop()
	if err := <-v.done; err != nil {
		t.Error(err)
	}
	if status := <-cut; status != 0 {
		t.Errorf("the request was answered %d", status)
	}
}

// A tenant that cannot be served is not ready, and its clients hear why.
func TestUnusableTenants(t *testing.T) {
	for _, tt := range []struct {
		name, tenant string
		key          bool
		report, told string
	}{
		{
			"another key", "", false,
			"every request is 503: the tenant's upstream secrets cannot be opened; give the servers the key that sealed them (secrets.key_file or secrets.previous_key_files), or run scim-bridge tenant apply with its tenant.yaml",
			"the tenant's upstream secrets cannot be opened: an operator has to correct the tenant's configuration",
		},
		{
			"an unknown role", "default_role: Viewr", true,
			`every request is 503: default_role: unknown role "Viewr" (have `,
			`default_role: unknown role "Viewr" (have `,
		},
		{
			"an unknown identity provider", "identity_provider: nobody", true,
			`every request is 503: identity_provider: unknown "nobody" (have `,
			`identity_provider: unknown "nobody" (have `,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var cfg bridgetest.Config
			o := options(&cfg)
			s := bridgetest.Start(t, cfg)
			doc := bridgetest.Tenant("acme", s.UpstreamURL)
			if key, _, ok := strings.Cut(tt.tenant, ":"); ok {
				lines := strings.Split(doc, "\n")
				lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+":") })
				doc = strings.Join(append(lines, tt.tenant), "\n")
			}
			changed := *o
			if !tt.key {
				changed.OpenSecret = func([]byte, []byte) ([]byte, error) { return nil, errors.New("message authentication failed") }
			}
			c, err := tenantconfig.Parse([]byte(doc), func(string) (string, bool) { return "acme-secret", true }, nil)
			if err != nil {
				t.Fatal(err)
			}
			row, err := c.ToStore(func(b, _ []byte) ([]byte, error) { return b, nil })
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Store.Update(t.Context(), func(tx store.Tx) error {
				old, err := tx.Tenant(t.Context(), "acme")
				if err != nil {
					return err
				}
				row.Version, row.CreatedAt = old.Version, old.CreatedAt
				return tx.PutTenant(row)
			}); err != nil {
				t.Fatal(err)
			}
			v := serve(t, s, changed, bridge.ServeOptions{})
			defer v.close()
			defer func() { v.stop(); <-v.done }()

			var h bridge.Health
			until(t, func() bool {
				status, body := v.get(v.health + "/readyz")
				if err := json.Unmarshal([]byte(body), &h); err != nil || status != 200 {
					t.Fatal(status, body, err)
				}
				return len(h.Directories) == 1 && h.Directories[0].Status == "unusable"
			})
			if h.Status != "degraded" || !strings.HasPrefix(h.Directories[0].Detail, tt.report) {
				t.Errorf("status %s, detail %s", h.Status, h.Directories[0].Detail)
			}
			if _, body := v.get(v.health + "/metrics"); !strings.Contains(body, `scim_bridge_directory_fresh{tenant="acme"} 0`) {
				t.Error("the directory counts as fresh")
			}
			status, body := v.get(v.base + "/Users/0b9f7c1e-1111-4222-8333-000000000000")
			var told struct{ Detail string }
			if err := json.Unmarshal([]byte(body), &told); err != nil || status != 503 || !strings.HasPrefix(told.Detail, tt.told) ||
				!strings.HasSuffix(told.Detail, "an operator has to correct the tenant's configuration") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// until waits for what must happen soon.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen in 30 s")
		}
	}
}

// brokenStore does not answer Ping.
type brokenStore struct{ store.Store }

func (brokenStore) Ping(context.Context) error {
	return errors.New("password=hunter2 connection refused")
}

func TestReadiness(t *testing.T) {
	type state struct{ Status, Store, Cache, Directory string }
	for _, tt := range []struct {
		name   string
		noScan bool
		change func(*bridge.Options)
		status int
		want   state
	}{
		{"all works", false, func(*bridge.Options) {}, 200, state{"ready", "ok", "ok", "fresh"}},
		{"Redis does not answer", false, func(o *bridge.Options) { o.Redis = &cache.RedisOptions{URL: "redis://127.0.0.1:1"} }, 200, state{"degraded", "ok", "degraded", "fresh"}},
		{"the store does not answer", false, func(o *bridge.Options) { o.Store = brokenStore{o.Store} }, 503, state{"unavailable", "unavailable", "ok", ""}},
		{"another key", false, func(o *bridge.Options) {
			o.OpenSecret = func([]byte, []byte) ([]byte, error) { return nil, errors.New("hunter2: message authentication failed") }
		}, 200, state{"degraded", "ok", "ok", "unusable"}},
		{"no directory yet", true, func(*bridge.Options) {}, 200, state{"degraded", "ok", "ok", "never"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := bridgetest.Config{NoScan: tt.noScan}
			o := options(&cfg)
			s := bridgetest.Start(t, cfg)
			if tt.noScan {
				s.Apply(bridgetest.Tenant("globex", "http://127.0.0.1:1"))
			}
			changed := *o
			tt.change(&changed)
			b, err := bridge.New(changed)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			w := record(b.OperatorHandler(), "GET", "/readyz")
			var h bridge.Health
			if err := json.Unmarshal(w.body, &h); err != nil {
				t.Fatal(err)
			}
			got := state{Status: h.Status}
			for _, d := range h.Dependencies {
				switch d.Name {
				case "store":
					got.Store = d.Status
				case "cache":
					got.Cache = d.Status
				}
			}
			for _, d := range h.Directories {
				got.Directory = d.Status // globex is the last by slug
			}
			if d := cmp.Diff(tt.want, got); d != "" || w.status != tt.status {
				t.Errorf("status %d, want %d; %s", w.status, tt.status, d)
			}
			if strings.Contains(string(w.body), "hunter2") {
				t.Errorf("readiness shows the cause: %s", w.body)
			}
		})
	}
}

type recorded struct {
	status int
	body   []byte
}

func record(h http.Handler, method, path string) recorded {
	w := &writer{header: http.Header{}, status: 200}
	r, err := http.NewRequest(method, "http://bridge"+path, nil)
	if err != nil {
		panic(err)
	}
	h.ServeHTTP(w, r)
	return recorded{w.status, w.body}
}

// writer is a ResponseWriter that remembers.
type writer struct {
	header http.Header
	status int
	body   []byte
}

func (w *writer) Header() http.Header    { return w.header }
func (w *writer) WriteHeader(status int) { w.status = status }
func (w *writer) Write(b []byte) (int, error) {
	w.body = append(w.body, b...)
	return len(b), nil
}

// Whatever strangers send, the number of series stays the same.
func TestMetricsAreBounded(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{})
	series := func() int {
		n := 0
		for line := range strings.Lines(string(record(s.Bridge.OperatorHandler(), "GET", "/metrics").body)) {
			if strings.HasPrefix(line, "scim_bridge_") {
				n++
			}
		}
		return n
	}
	wander := func(i int) {
		s.Do("GET", fmt.Sprintf("/Users/%d", i), "")
		s.Do("GET", fmt.Sprintf("/nothing-%d", i), "")
		s.Do(fmt.Sprintf("M%d", i), "/Users", "")
		s.Do("GET", fmt.Sprintf("/Users?filter=x%d", i), "", "User-Agent", fmt.Sprintf("agent %d", i))
		s.Do("GET", "/Users", "", "Authorization", fmt.Sprintf("Bearer %d", i))
	}
	wander(0)
	n := series()
	for i := range 50 {
		wander(i + 1)
	}
	if got := series(); got != n {
		t.Errorf("%d series became %d", n, got)
	}
}

// The operator's paths are exactly three; everything else is SCIM's to refuse.
func TestHandlerPaths(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{})
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/healthz/": 401, "//healthz": 404, "/%68ealthz": 404,
		"/scim/v2/Users?x=/healthz": 401, "/scim/v2/Users;/metrics": 404, "/": 401, "/metrics/../scim/v2/Users": 404,
	} {
		if got := record(s.Handler, "GET", path); got.status != want {
			t.Errorf("%s: %d, want %d: %s", path, got.status, want, got.body)
		}
	}
	if got := record(s.Handler, "DELETE", "/metrics").status; got != 405 {
		t.Errorf("DELETE /metrics: %d", got)
	}
}

// limits.rate_limit is per credential, and a refusal names it.
func TestRateLimit(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{Change: func(o *bridge.Options) { o.RateLimit, o.RateBurst = 0.001, 2 }})
	for _, want := range []int{200, 200, 429} {
		r := s.Do("GET", "/ServiceProviderConfig", "")
		if r.Status != want {
			t.Fatalf("status %d, want %d: %s", r.Status, want, r.Body)
		}
		if want == 429 && (r.Header.Get("Retry-After") == "" || !strings.Contains(string(r.Body), "limits.rate_limit")) {
			t.Errorf("Retry-After %q, %s", r.Header.Get("Retry-After"), r.Body)
		}
	}
	s.Token = s.NewToken("acme", "")
	s.Must(200, "GET", "/ServiceProviderConfig", "")
}
