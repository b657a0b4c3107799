// Package credentials makes, revokes and recognises the tokens by which
// provisioning clients authenticate. A token is shown once; the store has its
// hash.
package credentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const (
	// freshFor is how long what is cached is used without asking whether
	// anything changed; validFor is how long it may be used while the store
	// does not answer. Both together keep the promise that a revoked token is
	// refused within five seconds everywhere.
	freshFor = 2 * time.Second
	validFor = 5 * time.Second
	// rereadAfter is when a cached credential is read again although nothing
	// changed: evidence that another replica remembered arrives with it.
	rereadAfter = time.Minute
	// touchEvery is how often a credential's last use is written.
	touchEvery = time.Minute
	// flushEvery is how often what is due is written.
	flushEvery = 10 * time.Second
	// storeTimeout bounds what one authentication waits for the store.
	storeTimeout = 3 * time.Second
)

// Options configure a Service.
type Options struct {
	// Store is required.
	Store store.Store
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Logger hears when last uses cannot be written. nil: nobody.
	Logger *slog.Logger
	// AllowShort accepts tokens of any shape, for a demo on a loopback
	// address. False: only tokens that Create made.
	AllowShort bool
}

// Service manages credentials and authenticates with them. It is safe for
// concurrent use. Create, Revoke and List need no running Service.
type Service struct {
	store      store.Store
	now        func() time.Time
	log        *slog.Logger
	allowShort bool

	mu sync.Mutex
	// known holds valid credentials by the hash of their token, as read
	// while the store's generation was the one below.
	known      map[[sha256.Size]byte]*entry
	generation int64
	// checkedAt is the beginning of the last successful look at the store's
	// generation; zero: never.
	checkedAt time.Time
	// check is the look that is under way, nil when there is none.
	check *check
	// touched is when each credential's last use was last noted, due what is
	// to be written.
	touched map[string]time.Time
	due     map[string]touch
}

type entry struct {
	credential store.Credential
	readAt     time.Time
}

// check is a look at the store's generation that several requests may await.
type check struct {
	done chan struct{}
	err  error
}

type touch struct {
	used     time.Time
	evidence string
}

// New makes a Service; it calls nothing yet.
func New(o Options) (*Service, error) {
	if o.Store == nil {
		return nil, errors.New("credentials: Store is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: o.Store, now: o.Now, log: o.Logger, allowShort: o.AllowShort,
		known: map[[sha256.Size]byte]*entry{}, touched: map[string]time.Time{}, due: map[string]touch{},
	}, nil
}

// Run writes last uses and evidence until ctx is done, then what is left of
// them, and returns.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			s.flush(last)
			return
		}
	}
}

// Remember notes that traffic showed which client uses a credential. It is
// written soon and does not block.
func (s *Service) Remember(id, evidence string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.due[id]
	t.evidence = evidence
	if t.used.IsZero() {
		t.used = s.now()
	}
	s.due[id] = t
	for _, e := range s.known {
		if e.credential.ID == id {
			e.credential.Evidence = evidence
		}
	}
}

// noteUse makes a use due to be written, at most once in touchEvery for each
// credential. s.mu is held.
func (s *Service) noteUse(id string, now time.Time) {
	if last, ok := s.touched[id]; ok && now.Sub(last) < touchEvery {
		return
	}
	s.touched[id] = now
	t := s.due[id]
	t.used = now
	s.due[id] = t
}

// flush writes what is due. What cannot be written is kept for the next time.
func (s *Service) flush(ctx context.Context) {
	s.mu.Lock()
	due := s.due
	s.due = map[string]touch{}
	s.mu.Unlock()
	for id, t := range due {
		err := s.store.TouchCredential(ctx, id, t.used, t.evidence)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			continue
		}
		s.log.WarnContext(ctx, "cannot write when a credential was last used", "credential", id, "err", err)
		s.mu.Lock()
		if newer, ok := s.due[id]; !ok {
			s.due[id] = t
		} else if newer.evidence == "" {
			newer.evidence = t.evidence
			s.due[id] = newer
		}
		s.mu.Unlock()
	}
}
