package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// rolesFresh is how long upstream's list of roles is trusted.
const rolesFresh = 5 * time.Minute

// rolesUsable is how long it is used while it is being read again.
const rolesUsable = 15 * time.Minute

// resolveAgain is the least time between two resolutions that nobody but the
// health report asks for.
const resolveAgain = 10 * time.Second

// resolveTimeout bounds the reading of upstream's roles and providers.
const resolveTimeout = 20 * time.Second

// WorkspacesOptions configure Workspaces.
type WorkspacesOptions struct {
	// Store is required.
	Store store.Store
	// Open opens sealed secrets; aad is the tenant's slug. Required.
	Open func(sealed, aad []byte) ([]byte, error)
	// Transport carries upstream calls. nil: the client's own.
	Transport http.RoundTripper
	// InviteWindow is how long a bulk invite waits for company. 0: 20 ms.
	InviteWindow time.Duration
	// Observe is called after every upstream attempt. nil: nobody listens.
	Observe func(tenant string, c upstream.Call)
	// ObserveBatch is called after every bulk invite. nil: nobody listens.
	ObserveBatch func(tenant string, b upstream.Batch)
	// Now is the clock. nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Workspaces gives each tenant what it needs to work: its policy and its
// client. It is safe for concurrent use.
type Workspaces struct {
	opts WorkspacesOptions

	mu       sync.Mutex
	bySlug   map[string]*workspace
	limiters map[string]*upstream.Limiter // by upstream credential
	replicas int
}

// NewWorkspaces reads nothing yet: a tenant is loaded when it is first needed.
func NewWorkspaces(o WorkspacesOptions) *Workspaces {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Workspaces{opts: o, bySlug: map[string]*workspace{}, limiters: map[string]*upstream.Limiter{}, replicas: 1}
}

// workspace is one tenant at work, as it was configured at one version.
type workspace struct {
	slug          string
	version       int64
	config        *tenantconfig.Config
	organizations []int64
	client        *upstream.Client
	inviter       *upstream.Inviter
	now           func() time.Time

	providers remembered[upstream.IdentityProvider]
	named     remembered[upstream.Organization]
	actives   activeCount
	began     atomic.Bool  // the tenant's first create was noted
	first     atomic.Int64 // when that was, in milliseconds; 0: not known yet

	asking   singleflight.Group
	mu       sync.Mutex
	resolved *mapping.Policy
	at       time.Time
	wrong    *ConfigError // what the last resolution that had an answer found
	looked   time.Time    // when the health report last asked for a resolution
}

// get gives the tenant's workspace. store.ErrNotFound when there is no such
// tenant.
func (ws *Workspaces) get(ctx context.Context, slug string) (*workspace, error) {
	ws.mu.Lock()
	w := ws.bySlug[slug]
	ws.mu.Unlock()
	if w != nil {
		return w, nil
	}
	t, err := ws.opts.Store.Tenant(ctx, slug)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", slug, err)
	}
	return ws.load(t)
}

// load makes the workspace of a row. A row that cannot be worked with is a
// *ConfigError.
func (ws *Workspaces) load(t *store.Tenant) (*workspace, error) {
	c, err := tenantconfig.FromStore(t, ws.opts.Open)
	if err != nil {
		if _, damaged := tenantconfig.FromStore(t, nil); damaged != nil {
			return nil, &ConfigError{Tenant: t.Slug, Detail: "the tenant's stored configuration is damaged", Err: cause(damaged)}
		}
		return nil, &ConfigError{
			Tenant: t.Slug, Detail: "the tenant's upstream secrets cannot be opened", Err: cause(err),
			Remedy: "give the servers the key that sealed them (secrets.key_file or secrets.previous_key_files), or run scim-bridge tenant apply with its tenant.yaml",
		}
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	old := ws.bySlug[t.Slug]
	if old != nil && old.version >= t.Version {
		return old, nil
	}
	w := &workspace{slug: t.Slug, version: t.Version, config: c, organizations: c.Organizations, now: ws.opts.Now}
	if w.client, err = upstream.New(ws.clientOptions(c)); err != nil {
		return nil, &ConfigError{Tenant: t.Slug, Detail: "the tenant's upstream section cannot be used", Err: err}
	}
	w.inviter = upstream.NewInviter(upstream.InviterOptions{
		Client: w.client, Window: ws.opts.InviteWindow, Observe: observer(t.Slug, ws.opts.ObserveBatch),
	})
	ws.bySlug[t.Slug] = w
	if old != nil {
		old.retire()
	}
	return w, nil
}

// cause is what err wraps, or err: what is said around it is said once.
func cause(err error) error {
	if c := errors.Unwrap(err); c != nil {
		return c
	}
	return err
}

func (ws *Workspaces) clientOptions(c *tenantconfig.Config) upstream.Options {
	u := c.Upstream
	key := u.BaseURL + " " + u.Credential()
	l := ws.limiters[key]
	if l == nil {
		l = upstream.NewLimiter(u.Rate, u.Burst)
		ws.limiters[key] = l
	}
	l.SetRate(u.Rate)
	l.SetShare(ws.replicas)
	return upstream.Options{
		BaseURL: u.BaseURL, ClientID: u.ClientID, ClientSecret: u.ClientSecret, APIKey: u.APIKey,
		Endpoints: u.Endpoints, Transport: ws.opts.Transport, Limiter: l, Now: ws.opts.Now,
		Logger: ws.opts.Logger.With("tenant", c.Slug), Observe: observer(c.Slug, ws.opts.Observe),
	}
}

func observer[T any](slug string, f func(string, T)) func(T) {
	if f == nil {
		return nil
	}
	return func(v T) { f(slug, v) }
}

// retire ends what the workspace holds; requests under way finish.
func (w *workspace) retire() {
	go func() {
		w.inviter.Close()
		w.client.Close()
	}()
}

// refresh brings the workspaces to what the store says now and returns the
// slugs of all tenants.
func (ws *Workspaces) refresh(ctx context.Context) ([]string, error) {
	tenants, err := ws.opts.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	slugs := make([]string, 0, len(tenants))
	known := make(map[string]bool, len(tenants))
	for _, t := range tenants {
		if _, err := ws.load(t); err != nil {
			ws.opts.Logger.ErrorContext(ctx, "tenant cannot be served", "tenant", t.Slug, "err", err)
			continue
		}
		slugs = append(slugs, t.Slug)
		known[t.Slug] = true
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for slug, w := range ws.bySlug {
		if !known[slug] {
			delete(ws.bySlug, slug)
			w.retire()
		}
	}
	return slugs, nil
}

// share divides every credential's rate among the live replicas.
func (ws *Workspaces) share(replicas int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.replicas == replicas {
		return
	}
	ws.replicas = replicas
	for _, l := range ws.limiters {
		l.SetShare(replicas)
	}
}

// Close ends all workspaces.
func (ws *Workspaces) Close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for slug, w := range ws.bySlug {
		w.inviter.Close()
		w.client.Close()
		delete(ws.bySlug, slug)
	}
}

// policy resolves the names in the configuration against what upstream lists,
// once for all who ask at the same time. Nobody waits for that who can use what
// it said last, and while upstream cannot be asked that is good enough too.
func (w *workspace) policy(ctx context.Context) (*mapping.Policy, error) {
	w.mu.Lock()
	p, at := w.resolved, w.at
	w.mu.Unlock()
	if p != nil && w.now().Sub(at) < rolesFresh {
		return p, nil
	}
	asked := w.ask(ctx)
	if p != nil && w.now().Sub(at) < rolesUsable {
		return p, nil // the next request has the fresh one
	}
	select {
	case r := <-asked:
		switch {
		case r.Err == nil:
			return r.Val.(*mapping.Policy), nil
		case p != nil && upstream.KindOf(r.Err) != 0:
			return p, nil
		}
		return nil, r.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask resolves the policy in the background and keeps what comes of it.
func (w *workspace) ask(ctx context.Context) <-chan singleflight.Result {
	return w.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
		defer cancel()
		fresh, err := w.resolve(ctx)
		wrong, isWrong := isConfig(err)
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case err == nil:
			if w.resolved != nil && reflect.DeepEqual(w.resolved, fresh) {
				fresh = w.resolved // the same policy stays the same pointer
			}
			w.resolved, w.at, w.wrong = fresh, w.now(), nil
		case isWrong:
			w.wrong = wrong
		}
		return fresh, err
	})
}

// unusable is why every request of the tenant is refused; nil when none is, or
// when upstream has not been asked yet. It does not wait: what it begins to ask
// shows the next time.
func (w *workspace) unusable(ctx context.Context) *ConfigError {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := w.now().Sub(w.at)
	if (w.resolved == nil || age >= rolesFresh) && w.now().Sub(w.looked) >= resolveAgain {
		w.looked = w.now()
		w.ask(ctx)
	}
	if w.resolved != nil && age < rolesUsable {
		return nil // requests are served by what was resolved last
	}
	return w.wrong
}

func (w *workspace) resolve(ctx context.Context) (*mapping.Policy, error) {
	c := w.config
	roles, err := w.client.ListRoles(ctx)
	if err != nil {
		return nil, err
	}
	if len(roles) == 0 {
		return nil, &ConfigError{Tenant: w.slug, Detail: "Share A Refund lists no roles to this tenant's credential", Remedy: "check the credential's rights at Share A Refund"}
	}
	may, err := w.granting(ctx)
	if err != nil {
		return nil, err
	}
	p := &mapping.Policy{
		Organizations: c.Organizations, DefaultOrganizations: c.DefaultOrganizations, Domains: c.Domains,
		CreateAccounts: c.Provisioning == tenantconfig.Create, SendMail: c.SendMail, Adopt: c.Adopt, ResetPasswords: c.ResetPassword,
		RolesAttribute: c.RolesAttribute, RequireGroup: c.RequireGroup,
		Protected: mapping.Protection{UserIDs: c.Guards.Protected.UserIDs, Emails: c.Guards.Protected.Emails},
	}
	for _, r := range roles {
		p.Roles = append(p.Roles, mapping.Role(r))
	}
	if err := w.resolveRoles(p, may); err != nil {
		return nil, err
	}
	providers, err := w.client.ListIdentityProviders(ctx)
	if err != nil {
		return nil, err
	}
	for _, ip := range providers {
		if ip.Enabled {
			p.IdentityProviders = append(p.IdentityProviders, ip.ID)
		}
	}
	if c.IdentityProvider != "" {
		if p.IdentityProviderID, err = w.identityProvider(providers, c.IdentityProvider); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// identityProvider finds an enabled provider by name, prefix or id.
func (w *workspace) identityProvider(providers []upstream.IdentityProvider, name string) (int64, error) {
	var enabled []string
	for _, ip := range providers {
		if ip.Enabled {
			enabled = append(enabled, ip.Name)
		}
		if strings.EqualFold(ip.Name, name) || strings.EqualFold(ip.Prefix, name) || strconv.FormatInt(ip.ID, 10) == name {
			if !ip.Enabled {
				return 0, &ConfigError{Tenant: w.slug, Detail: fmt.Sprintf("identity_provider: %q is disabled at Share A Refund; enable it there or choose another one", name)}
			}
			return ip.ID, nil
		}
	}
	return 0, &ConfigError{Tenant: w.slug, Detail: fmt.Sprintf("identity_provider: unknown %q (have %s)", name, strings.Join(enabled, ", "))}
}

// ConfigError means that a tenant cannot be served as it is configured: its
// stored configuration or secrets cannot be read, or it names something that
// upstream does not have. Requests are answered 503 until that is corrected.
type ConfigError struct {
	// Tenant is the slug; Detail says what is wrong, in words that the
	// tenant's client may read.
	Tenant, Detail string
	// Remedy says what an operator does about it. "": apply it again.
	Remedy string
	// Err is the cause, for the log; it may be nil.
	Err error
}

func (e *ConfigError) Error() string {
	detail := e.Detail
	if e.Err != nil {
		detail += ": " + e.Err.Error()
	}
	return fmt.Sprintf("tenant %q: %s; %s", e.Tenant, detail, e.remedy())
}

func (e *ConfigError) remedy() string {
	return cmp.Or(e.Remedy, "correct its tenant.yaml and run scim-bridge tenant apply")
}

// Unwrap is Err.
func (e *ConfigError) Unwrap() error { return e.Err }

// enter is where every request begins: the caller's tenant and its policy.
func (s *Service) enter(ctx context.Context, tenant string) (*workspace, *mapping.Policy, error) {
	w, err := s.spaces.get(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	pol, err := w.policy(ctx)
	if err != nil {
		return nil, nil, err
	}
	return w, pol, nil
}

// isConfig reports whether err is a fault of a tenant's configuration.
func isConfig(err error) (*ConfigError, bool) { return errors.AsType[*ConfigError](err) }
