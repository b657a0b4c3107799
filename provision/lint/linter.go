package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

const (
	// flushEvery is how often evidence is written, reportEvery how often all
	// findings are reported to Options.Report.
	flushEvery, reportEvery = 10 * time.Second, time.Minute
	// pruneEvery is how often old findings are forgotten.
	pruneEvery = time.Hour
	// storeTimeout bounds what is read or written of one tenant, and what the
	// end waits for; explainTimeout what is looked up of one tenant before.
	storeTimeout, explainTimeout = 3 * time.Second, time.Second
	// maxSubjects is how many subjects a finding of one credential names.
	maxSubjects = 100
)

// Guards reports on the guards of a tenant: provision.Service does.
type Guards interface {
	// ShowGuards reports on every guard of a tenant.
	ShowGuards(ctx context.Context, tenant string) ([]provision.GuardReport, error)
}

// Options configure New.
type Options struct {
	// Store keeps the findings. Required.
	Store store.Store
	// Guards is required.
	Guards Guards
	// UserCodec is that of the users which pass through. Required.
	UserCodec *scim.Codec[scim.User]
	// Pseudonyms stand for who has no id of the bridge's. nil: they are by a key
	// of this process alone, and another one cannot settle what it saw of them.
	Pseudonyms *requestlog.Pseudonyms
	// DirectoryInterval is the time between two scans. 0: 5 minutes.
	DirectoryInterval time.Duration
	// Report gets the findings of all tenants once a minute, by slug; those of
	// a tenant that cannot be read are missing. It must not keep the map. nil:
	// nobody is told.
	Report func(map[string][]Report)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Logger hears when findings cannot be kept. nil: nobody.
	Logger *slog.Logger
}

// Linter gathers evidence and reports what follows from it. It is safe for
// concurrent use.
type Linter struct {
	store    store.Store
	guards   Guards
	codec    *scim.Codec[scim.User]
	names    *requestlog.Pseudonyms
	interval time.Duration
	report   func(map[string][]Report)
	now      func() time.Time
	log      *slog.Logger

	seen *evidence
	// flushing keeps one Flush at a time; it guards what follows.
	flushing chan struct{}
	// before is the good evidence of the write before, by tenant: what another
	// replica wrote since could not be met by it.
	before map[string]map[string]*good
	// losing says that the last write failed, untold that the last report did
	// not have every tenant.
	losing, untold bool
}

// New makes a Linter; it calls nothing yet.
func New(o Options) (*Linter, error) {
	if o.Store == nil || o.Guards == nil || o.UserCodec == nil {
		return nil, errors.New("lint: Store, Guards and UserCodec are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pseudonyms == nil {
		var err error
		if o.Pseudonyms, err = ownPseudonyms(); err != nil {
			return nil, err
		}
	}
	return &Linter{
		store: o.Store, guards: o.Guards, codec: o.UserCodec, names: o.Pseudonyms, interval: cmp.Or(o.DirectoryInterval, 5*time.Minute),
		report: o.Report, now: o.Now, log: o.Logger, seen: newEvidence(), flushing: make(chan struct{}, 1),
	}, nil
}

// shaped notes what a user showed.
func (l *Linter) shaped(c scim.Caller, subject string, s shape) {
	if subject == "" || s == (shape{}) {
		return
	}
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	for code := code(0); s.wrong>>code != 0; code++ {
		if s.wrong.has(code) {
			e.see(c.Tenant, key{c.Credential, code, subject}, at)
		}
	}
	e.settle(c.Tenant, subject, s.right, at)
}

// settled notes what speaks against codes.
func (l *Linter) settled(tenant, subject string, codes mask) {
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settle(tenant, subject, codes, at)
}

// refused keeps a refusal to be looked into.
func (l *Linter) refused(c scim.Caller, r refusal) {
	r.credential, r.at = c.Credential, l.now()
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	l.seen.refuse(c.Tenant, r)
}

// Run writes evidence and reports findings until ctx is done, then writes what
// is left and returns.
func (l *Linter) Run(ctx context.Context) {
	var telling sync.WaitGroup
	defer telling.Wait()
	if l.report != nil {
		telling.Go(func() { l.keepTelling(ctx) })
	}
	flush, prune := time.NewTicker(flushEvery), time.NewTicker(pruneEvery)
	defer flush.Stop()
	defer prune.Stop()
	for {
		select {
		case <-flush.C:
			l.try(ctx, flushEvery, l.Flush)
		case <-prune.C:
			l.try(ctx, storeTimeout, l.prune)
		case <-ctx.Done():
			l.try(context.WithoutCancel(ctx), storeTimeout, l.Flush)
			return
		}
	}
}

// try does something with the store, and logs when it begins to fail.
func (l *Linter) try(ctx context.Context, within time.Duration, do func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := do(bounded)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !l.losing {
		l.log.WarnContext(ctx, "findings about the traffic of clients are lost until the store answers", "err", err)
	}
	l.losing = err != nil
}

// keepTelling tells until ctx is done. It keeps no write waiting: with many
// tenants it takes a while.
func (l *Linter) keepTelling(ctx context.Context) {
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	for {
		l.tell(ctx)
		select {
		case <-report.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell hands all findings to Options.Report. A tenant that cannot be read takes
// nobody else's with it; without the list of tenants nothing is reported anew.
func (l *Linter) tell(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	tenants, err := l.store.Tenants(bounded)
	cancel()
	unread := 0
	all := make(map[string][]Report, len(tenants))
	for _, t := range tenants {
		found, wrong := l.count(ctx, t)
		if wrong == nil {
			all[t.Slug] = found
			continue
		}
		if unread++; unread == 1 {
			err = wrong
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil && !l.untold {
		l.log.WarnContext(ctx, "metrics lack the findings of tenants that cannot be read", "tenants", unread, "err", err)
	}
	l.untold = err != nil
	if err == nil || unread > 0 {
		l.report(all)
	}
}

// count lists the findings of a tenant that metrics count.
func (l *Linter) count(ctx context.Context, t *store.Tenant) ([]Report, error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	found, err := l.reports(bounded, t, false)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", t.Slug, err)
	}
	return found, nil
}

func (l *Linter) prune(ctx context.Context) error {
	now := l.now()
	return l.store.PruneFindings(ctx, now.Add(-month-day), now.Add(-week-day))
}
