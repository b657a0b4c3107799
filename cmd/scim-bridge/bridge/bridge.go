// Package bridge wires the rooms of the bridge together: store, cache,
// provisioning, credentials, the SCIM handler, health and metrics. The
// commands that serve and the demo use the very same wiring.
package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/provision/lint"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
	"github.com/sharearefund/scim-bridge/store"
)

// Options configure New.
type Options struct {
	// Store is required; the Bridge does not close it. StoreKind names what
	// it is, such as "sqlite", for readiness.
	Store     store.Store
	StoreKind string
	// OpenSecret opens what a tenant's upstream secrets were sealed to; aad
	// is the tenant's slug. Required.
	OpenSecret func(sealed, aad []byte) ([]byte, error)
	// Redis is the shared cache; nil leaves each process its own memory.
	Redis *cache.RedisOptions
	// PublicURL is the only source of meta.location. Required.
	PublicURL string
	// TrustedProxies may say whom a request came from. nil: nobody may.
	TrustedProxies []netip.Prefix
	// MaxBody, RequestTimeout and FailedAuthPerMinute are limits of the SCIM
	// handler; 0 is its default.
	MaxBody             int64
	RequestTimeout      time.Duration
	FailedAuthPerMinute int
	// RateLimit is how many requests a second one credential may make, with
	// RateBurst (< 1: 1) at once; above that they are 429. 0: no limit.
	RateLimit float64
	RateBurst int
	// CursorKey seals the cursors of lists, 32 bytes; nil: random.
	CursorKey []byte
	// DirectoryInterval is the time between two scans. 0: 5 minutes.
	DirectoryInterval time.Duration
	// RequestLog keeps a log of requests in the store. nil: there is none.
	RequestLog *RequestLogOptions
	// AllowShortTokens accepts tokens of any shape: the demo's, on loopback.
	AllowShortTokens bool
	// Replica names this process among those of one database. "": random.
	Replica string
	// Version is shown by readiness and metrics. "": "unknown".
	Version string
	// Transport carries upstream calls. nil: one per tenant.
	Transport http.RoundTripper
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
}

// Bridge is one process of the bridge. It is safe for concurrent use.
type Bridge struct {
	Service     *provision.Service
	Credentials *credentials.Service
	Linter      *lint.Linter

	store                store.Store
	cache                cache.Cache
	storeKind, cacheKind string
	workspaces           *provision.Workspaces
	scim                 http.Handler
	metrics              *metrics
	health               *health
	failures             *failures
	requests             *requestlog.Log // nil: requests are not logged
	requestTimeout       time.Duration
	version              string
	now                  func() time.Time
	log                  *slog.Logger
	draining             atomic.Bool

	mu      sync.Mutex
	failing map[string]bool
}

// New wires a Bridge; it calls nothing yet. The caller closes it.
func New(o Options) (*Bridge, error) {
	if o.Store == nil || o.OpenSecret == nil || o.Logger == nil {
		return nil, errors.New("bridge: Store, OpenSecret and Logger are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Bridge{
		store: o.Store, storeKind: o.StoreKind, version: cmp.Or(o.Version, "unknown"), now: o.Now, log: o.Logger,
		requestTimeout: cmp.Or(o.RequestTimeout, 30*time.Second), failing: map[string]bool{},
	}
	b.metrics = newMetrics(b.version)
	b.health = &health{look: b.lookAround, now: o.Now}
	if err := b.wire(o); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bridge) wire(o Options) error {
	var err error
	if err = b.openCache(o); err != nil {
		return err
	}
	codec, err := mapping.NewUserCodec()
	if err != nil {
		return err
	}
	groups, err := scim.NewGroupCodec()
	if err != nil {
		return err
	}
	b.workspaces = provision.NewWorkspaces(provision.WorkspacesOptions{
		Store: o.Store, Open: o.OpenSecret, Transport: o.Transport, Observe: b.metrics.upstreamCall,
		ObserveBatch: b.metrics.batch, Now: o.Now, Logger: o.Logger,
	})
	b.Service, err = provision.New(provision.Options{
		Store: o.Store, Cache: b.cache, Workspaces: b.workspaces, Codec: codec, GroupCodec: groups, PublicURL: o.PublicURL,
		Replica: o.Replica, DirectoryInterval: o.DirectoryInterval, Now: o.Now, Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	b.Credentials, err = credentials.New(credentials.Options{
		Store: o.Store, Now: o.Now, Logger: o.Logger, AllowShort: o.AllowShortTokens,
	})
	if err != nil {
		return err
	}
	if err = b.openLinter(o, codec); err != nil {
		return err
	}
	b.failures = &failures{
		queue: make(chan server.FailedRequest, failureQueue), record: b.Service.RecordFailure, dropped: b.metrics.eventsDropped.Inc,
	}
	if err = b.openRequestLog(o); err != nil {
		return err
	}
	resources, err := catalogue(b.Service)
	if err != nil {
		return err
	}
	b.scim, err = server.New(server.Options{
		PublicURL: o.PublicURL, Users: b.Linter.Users(b.Service), UserCodec: codec, Groups: b.Linter.Groups(b.Service), GroupCodec: groups, Resources: resources,
		Authenticate:    authenticator(b.Credentials, newRates(o.RateLimit, o.RateBurst), b.Linter.RateLimited),
		ChangesPassword: b.Service.ChangesPassword,
		Evidence:        b.remember, Begin: b.begin, Observe: b.observe, Failed: b.failures.add, Logger: o.Logger, MaxBody: o.MaxBody,
		RequestTimeout: o.RequestTimeout, FailedAuthPerMinute: o.FailedAuthPerMinute, TrustedProxies: o.TrustedProxies, Now: o.Now,
		CursorKey: o.CursorKey,
	})
	return err
}

// observe hears of every request that was answered.
func (b *Bridge) observe(ctx context.Context, r server.Request) {
	b.metrics.request(r)
	b.lint(&r)
	b.logRequest(ctx, &r)
}

// catalogue serves what a tenant may see of upstream's roles, identity
// providers and organizations.
func catalogue(s *provision.Service) ([]server.Resource, error) {
	roles, err := mapping.NewRoleCodec()
	if err != nil {
		return nil, err
	}
	providers, err := mapping.NewIdentityProviderCodec()
	if err != nil {
		return nil, err
	}
	organizations, err := mapping.NewOrganizationCodec()
	if err != nil {
		return nil, err
	}
	return []server.Resource{
		server.ReadOnly("Role", roles, provision.Roles{Service: s}),
		server.ReadOnly("IdentityProvider", providers, provision.IdentityProviders{Service: s}),
		server.ReadOnly("Organization", organizations, provision.Organizations{Service: s}),
	}, nil
}

// openCache layers a short memory over Redis: most look-ups then need neither
// the network nor the store.
func (b *Bridge) openCache(o Options) error {
	if o.Redis == nil {
		b.cache, b.cacheKind = cache.NewMemory(cache.MemoryOptions{Observe: b.metrics.cacheOp, Now: o.Now}), "memory"
		return nil
	}
	ro := *o.Redis
	ro.Logger, ro.Now, ro.Observe = o.Logger, o.Now, b.metrics.cacheOp
	redis, err := cache.NewRedis(ro)
	if err != nil {
		return err
	}
	b.cache = cache.NewLayered(cache.NewMemory(cache.MemoryOptions{TTL: cache.NearTTL, Now: o.Now}), redis)
	b.cacheKind = "redis"
	return nil
}

// Run works in the background until ctx is done and what was begun is
// finished: scans, jobs, the last uses of credentials, events of failures.
func (b *Bridge) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return b.Service.Run(ctx) })
	g.Go(func() error { b.Credentials.Run(ctx); return nil })
	g.Go(func() error { b.failures.run(ctx); return nil })
	g.Go(func() error { b.Linter.Run(ctx); return nil })
	if b.requests != nil {
		g.Go(func() error { b.requests.Run(ctx); return nil })
	}
	return g.Wait()
}

// Close ends what New began. The store stays open.
func (b *Bridge) Close() error {
	if b.workspaces != nil {
		b.workspaces.Close()
	}
	if b.cache == nil {
		return nil
	}
	if err := b.cache.Close(); err != nil {
		return fmt.Errorf("closing the cache: %w", err)
	}
	return nil
}

// Handler serves SCIM and, beside it, what OperatorHandler serves:
// authentication stands before whatever is not exactly one of its paths.
func (b *Bridge) Handler() http.Handler { return b.orOperator(b.scim) }

// OperatorHandler serves /healthz, /readyz and /metrics, which need no
// authentication and show no secret and no person.
func (b *Bridge) OperatorHandler() http.Handler { return b.orOperator(http.NotFoundHandler()) }

func (b *Bridge) orOperator(other http.Handler) http.Handler {
	own := map[string]http.Handler{
		"/healthz": http.HandlerFunc(b.serveHealthz),
		"/readyz":  http.HandlerFunc(b.serveReadyz),
		"/metrics": b.serveMetrics(),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ok := own[r.URL.Path]
		switch {
		case !ok || r.URL.RawPath != "":
			other.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// serveMetrics looks at the dependencies first, so that their gauges are
// current even where nobody asks for readiness.
func (b *Bridge) serveMetrics() http.Handler {
	h := b.metrics.handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.health.current(r.Context())
		h.ServeHTTP(w, r)
	})
}
