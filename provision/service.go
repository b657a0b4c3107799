package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// Options configure a Service.
type Options struct {
	// Store is required.
	Store store.Store
	// Cache holds id mappings. nil: none.
	Cache cache.Cache
	// Workspaces gives each tenant its policy and its way upstream. Required.
	Workspaces *Workspaces
	// Codec is that of mapping.NewUserCodec. Required.
	Codec *scim.Codec[scim.User]
	// GroupCodec is that of scim.NewGroupCodec. Required.
	GroupCodec *scim.GroupCodec
	// PublicURL is the base of meta.location, without a trailing slash, such
	// as "https://scim.example.com". Required.
	PublicURL string
	// Replica names this process among those of one database. "": random.
	Replica string
	// DirectoryInterval is the time between two scans. 0: 5 minutes.
	DirectoryInterval time.Duration
	// Settle is how long after our own write an older answer of upstream is
	// taken for a stale read. 0: 60 seconds.
	Settle time.Duration
	// Work is the time that a request's upstream work may take. 0: 25 s.
	Work time.Duration
	// LeaseWait is how long a request waits for another one that changes the
	// same person. 0: 8 s.
	LeaseWait time.Duration
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Logger receives what an operator has to know. nil: none.
	Logger *slog.Logger
}

// Service serves people and groups. It is a scim.UserHandler and a
// scim.GroupHandler, and safe for concurrent use.
type Service struct {
	opts       Options
	store      store.Store
	cache      cache.Cache
	spaces     *Workspaces
	codec      *scim.Codec[scim.User]
	groupCodec *scim.GroupCodec
	log        *slog.Logger
	now        func() time.Time
	locks      keyedLocks
	// rendered are people as lists show them.
	rendered renderings

	wake       [len(jobSorts)]chan struct{}
	generation generationWatch
	troubles   troubles
}

var _ scim.UserHandler = (*Service)(nil)

// New makes a Service; it calls nothing yet.
func New(o Options) (*Service, error) {
	if o.Store == nil || o.Workspaces == nil || o.Codec == nil || o.GroupCodec == nil || o.PublicURL == "" {
		return nil, errors.New("provision: Store, Workspaces, Codec, GroupCodec and PublicURL are required")
	}
	if o.Replica == "" {
		o.Replica = uuid.NewString()
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.DirectoryInterval, 5*time.Minute)
	def(&o.Settle, time.Minute)
	def(&o.Work, 25*time.Second)
	def(&o.LeaseWait, 8*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Cache == nil {
		o.Cache = noCache{}
	}
	s := &Service{
		opts: o, store: o.Store, cache: o.Cache, spaces: o.Workspaces, codec: o.Codec, groupCodec: o.GroupCodec,
		log: o.Logger, now: milliseconds(o.Now),
	}
	for i := range s.wake {
		s.wake[i] = make(chan struct{}, 1)
	}
	return s, nil
}

// milliseconds is the clock in the resolution that answers show, so that a
// time reads the same from the store.
func milliseconds(now func() time.Time) func() time.Time {
	return func() time.Time { return now().UTC().Truncate(time.Millisecond) }
}

// noCache knows nothing.
type noCache struct{}

func (noCache) Get(context.Context, cache.Key) (cache.Mapping, bool) { return cache.Mapping{}, false }
func (noCache) Set(context.Context, cache.Mapping, ...cache.Key)     {}
func (noCache) Delete(context.Context, ...cache.Key)                 {}
func (noCache) Ping(context.Context) error                           { return nil }
func (noCache) Close() error                                         { return nil }

// bridgeNamespace is the namespace of all derived ids (RFC 9562 §5.5).
var bridgeNamespace = uuid.MustParse("6f0f7a5e-3f53-5b0e-9f0a-6a1d4c7b2e11")

// derivedID is the SCIM id that a person's upstream ids lead to: the same
// whenever it is computed, so that it can be computed again when the store is
// lost. It is empty when upstream has nothing yet.
func derivedID(tenant string, userID int64, inviteID string) string {
	namespace := uuid.NewSHA1(bridgeNamespace, []byte("tenant:"+tenant))
	switch {
	case userID != 0:
		return uuid.NewSHA1(namespace, fmt.Appendf(nil, "user:%d", userID)).String()
	case inviteID != "":
		return uuid.NewSHA1(namespace, []byte("invite:"+inviteID)).String()
	}
	return ""
}

// location is the URL of a User.
func (s *Service) location(id string) string { return s.base() + "/Users/" + id }

// base is the SCIM base URL.
func (s *Service) base() string { return strings.TrimSuffix(s.opts.PublicURL, "/") + "/scim/v2" }

// view is the person that row and acc make, as a client sees it.
func (s *Service) view(pol *mapping.Policy, r *record, acc mapping.Account) (*scim.User, error) {
	desired, err := r.desired(s.codec)
	if err != nil {
		return nil, err
	}
	p := r.row
	u := pol.View(mapping.Known{
		ID: p.ID, Managed: p.Managed, Desired: desired, Written: r.written, Groups: r.groups, Version: p.Version,
		Created: p.CreatedAt, Modified: p.ModifiedAt, Location: s.location(p.ID),
	}, acc)
	u.Groups = s.groupRefs(r.groups)
	return u, nil
}

// ChangesPassword reports whether the tenant passes on passwords that a client
// sets.
func (s *Service) ChangesPassword(ctx context.Context, c scim.Caller) (bool, error) {
	_, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return false, entryRefusal(err)
	}
	return pol.ResetPasswords, nil
}
