// Package bridgetest runs the whole bridge over a sandbox inside a test: the
// wiring of the product, a database of its own, and HTTP on loopback. The
// sandbox's ledger is the judge of what really happened.
package bridgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// Config says what stack to start. The zero value is one bridge on SQLite
// over a sandbox with immediate invites and the tenant acme.
type Config struct {
	// Client is the kind on acme's credential. "": auto.
	Client string
	// Sandbox configures upstream; Control is always on.
	Sandbox sandbox.Options
	// Over is a stack whose upstream this one shares. nil: one of its own.
	Over *Stack
	// Tenant is put behind acme's document, one YAML line each. Lines that
	// begin with two spaces go into its upstream section.
	Tenant []string
	// Store is a database URL. "": a new SQLite file.
	Store string
	// Change may alter the options of the bridge.
	Change func(*bridge.Options)
	// NoScan leaves the directory unread.
	NoScan bool
	// Idle leaves the background work undone, as where no server runs.
	Idle bool
	// Logger hears the bridge. nil: nobody.
	Logger *slog.Logger
}

// Stack is a running bridge and its upstream.
type Stack struct {
	// Base is the SCIM base URL, Token acme's bearer token.
	Base, Token string
	Sandbox     *sandbox.Sandbox
	UpstreamURL string
	Store       store.Store
	Bridge      *bridge.Bridge
	Handler     http.Handler

	t testing.TB
}

// Start starts a stack that ends with the test.
func Start(t testing.TB, cfg Config) *Stack {
	t.Helper()
	sb, upstreamURL := startUpstream(t, cfg)
	if cfg.Store == "" {
		cfg.Store = filepath.Join(t.TempDir(), "bridge.db")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: cfg.Store, Logger: cfg.Logger})
	check(t, err)
	t.Cleanup(func() { _ = st.Close() })

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s := &Stack{t: t, Sandbox: sb, UpstreamURL: upstreamURL, Store: st, Base: "http://" + ln.Addr().String() + "/scim/v2"}
	o := bridge.Options{
		Store: st, StoreKind: "sqlite", OpenSecret: unsealed, PublicURL: "http://" + ln.Addr().String(), Logger: cfg.Logger,
	}
	if cfg.Change != nil {
		cfg.Change(&o)
	}
	s.Bridge, err = bridge.New(o)
	check(t, err)
	t.Cleanup(func() { _ = s.Bridge.Close() })
	s.Apply(Tenant("acme", upstreamURL, cfg.Tenant...))
	s.Token = s.NewToken("acme", cfg.Client)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	if !cfg.NoScan {
		_, err = s.Bridge.Service.ScanNow(t.Context(), "acme")
		check(t, err)
	}
	go func() {
		defer close(done)
		if cfg.Idle {
			return
		}
		if err := s.Bridge.Run(ctx); err != nil {
			t.Errorf("bridge: %v", err)
		}
	}()
	s.Handler = s.Bridge.Handler()
	srv := &http.Server{Handler: s.Handler, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 256 << 10}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		cancel()
		<-done
	})
	return s
}

func startUpstream(t testing.TB, cfg Config) (*sandbox.Sandbox, string) {
	t.Helper()
	if cfg.Over != nil {
		return cfg.Over.Sandbox, cfg.Over.UpstreamURL
	}
	cfg.Sandbox.Control = true
	sb, err := sandbox.New(cfg.Sandbox)
	check(t, err)
	t.Cleanup(func() { _ = sb.Close() })
	up := httptest.NewServer(sb.Handler())
	t.Cleanup(up.Close)
	t.Cleanup(func() { _ = sb.Close() }) // first: it releases calls that hang
	return sb, up.URL
}

// Tenant is the document of a tenant over the sandbox at upstreamURL, with
// further lines as in Config: acme has organizations 113 and 114, globex has 200.
func Tenant(slug, upstreamURL string, lines ...string) string {
	orgs := map[string]string{"acme": "[113, 114]", "globex": "[200]"}[slug]
	var nested, top strings.Builder
	for _, l := range lines {
		b := &top
		if strings.HasPrefix(l, "  ") {
			b = &nested
		}
		b.WriteString(l + "\n")
	}
	return fmt.Sprintf(`slug: %s
name: %s
upstream:
  base_url: %s
  client_id: %s
  client_secret_env: SECRET
%sorganizations: %s
domains: [example.com]
default_role: Viewer
%s`, slug, slug, upstreamURL, slug, nested.String(), orgs, top.String())
}

// unsealed stands for a key that leaves secrets as they are.
func unsealed(b, _ []byte) ([]byte, error) { return b, nil }

// Apply stores a tenant's document, in place of the one that is there.
func (s *Stack) Apply(doc string) {
	s.t.Helper()
	env := func(string) (string, bool) {
		slug, _, _ := strings.Cut(strings.TrimPrefix(doc, "slug: "), "\n")
		return slug + "-secret", true
	}
	c, err := tenantconfig.Parse([]byte(doc), env, nil)
	check(s.t, err)
	row, err := c.ToStore(unsealed)
	check(s.t, err)
	check(s.t, s.Store.Update(s.t.Context(), func(tx store.Tx) error {
		switch old, err := tx.Tenant(s.t.Context(), row.Slug); {
		case err == nil:
			row.Version = old.Version
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		return tx.PutTenant(row)
	}))
}

// NewToken makes a bearer token of a tenant.
func (s *Stack) NewToken(tenant, client string) string {
	s.t.Helper()
	token, _, err := s.Bridge.Credentials.Create(s.t.Context(), credentials.Request{Tenant: tenant, Client: client, Actor: "test"})
	check(s.t, err)
	return string(token)
}

// Response is an answer whose body was read.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON is the value at a dotted path of the body, such as "name.givenName" or
// "Resources.0.id"; nil when there is none.
func (r Response) JSON(path string) any {
	var v any
	if json.Unmarshal(r.Body, &v) != nil {
		return nil
	}
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// ExtensionURN names the bridge's own extension of User.
const ExtensionURN = "urn:sharearefund:params:scim:schemas:extension:2.0:User"

// Extension is the bridge's own extension in a User; nil when there is none.
func (r Response) Extension() map[string]any {
	var v map[string]any
	if json.Unmarshal(r.Body, &v) != nil {
		return nil
	}
	e, _ := v[ExtensionURN].(map[string]any)
	return e
}

// ID is the resource's id.
func (r Response) ID() string {
	id, _ := r.JSON("id").(string)
	return id
}

// Do sends a request with acme's token and reads the answer. header holds
// pairs of names and values.
func (s *Stack) Do(method, path, body string, header ...string) Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.Base+path, strings.NewReader(body))
	check(s.t, err)
	req.Header.Set("Authorization", "Bearer "+s.Token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	check(s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	check(s.t, err)
	return Response{Status: res.StatusCode, Header: res.Header, Body: text}
}

// Must is Do, and fails the test on another status.
func (s *Stack) Must(status int, method, path, body string, header ...string) Response {
	s.t.Helper()
	r := s.Do(method, path, body, header...)
	if r.Status != status {
		s.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, r.Status, status, bytes.TrimSpace(r.Body))
	}
	return r
}

// User is the body of a create with the shape that every client sends.
func User(userName string, more ...string) string {
	local, _, _ := strings.Cut(userName, "@")
	extra := ""
	if len(more) > 0 {
		extra = "," + strings.Join(more, ",")
	}
	return fmt.Sprintf(`{"schemas":[%q],"userName":%q,"name":{"givenName":%q,"familyName":"Test"},"emails":[{"primary":true,"type":"work","value":%q}],"active":true%s}`,
		scim.UserSchema, userName, local, userName, extra)
}

// PatchOp is the body of a PATCH with the given operations.
func PatchOp(ops ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + strings.Join(ops, ",") + `]}`
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
