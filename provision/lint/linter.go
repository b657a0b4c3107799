package lint

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

const (
	// flushEvery is how often evidence is written, reportEvery how often all
	// findings are reported to Options.Report.
	flushEvery, reportEvery = 10 * time.Second, time.Minute
	// pruneEvery is how often old findings are forgotten.
	pruneEvery = time.Hour
	// storeTimeout bounds one write, and what the end waits for.
	storeTimeout = 3 * time.Second
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
	// DirectoryInterval is the time between two scans. 0: 5 minutes.
	DirectoryInterval time.Duration
	// Report gets the findings of all tenants once a minute, by slug. It must
	// not keep the map. nil: nobody is told.
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
	interval time.Duration
	report   func(map[string][]Report)
	now      func() time.Time
	log      *slog.Logger

	seen *evidence
	// flushing keeps one Flush at a time; it guards what follows.
	flushing chan struct{}
	// before is the good evidence of the write before: what another replica
	// wrote since could not be met by it.
	before map[subject]good
	// failing says that the last write failed.
	failing bool
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
	return &Linter{
		store: o.Store, guards: o.Guards, codec: o.UserCodec, interval: cmp.Or(o.DirectoryInterval, 5*time.Minute),
		report: o.Report, now: o.Now, log: o.Logger, seen: newEvidence(), flushing: make(chan struct{}, 1),
	}, nil
}

// shaped notes what a user showed.
func (l *Linter) shaped(c scim.Caller, id string, s shape) {
	if id == "" || s == (shape{}) {
		return
	}
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	for code := code(0); s.wrong>>code != 0; code++ {
		if s.wrong.has(code) {
			e.see(key{c.Tenant, c.Credential, code, id}, at)
		}
	}
	e.settle(c.Tenant, id, s.right, at)
}

// settled notes what speaks against codes.
func (l *Linter) settled(tenant, id string, codes mask) {
	at, e := l.now(), l.seen
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settle(tenant, id, codes, at)
}

// refused keeps a refusal to be looked into.
func (l *Linter) refused(c scim.Caller, r refusal) {
	r.tenant, r.credential, r.at = c.Tenant, c.Credential, l.now()
	l.seen.mu.Lock()
	defer l.seen.mu.Unlock()
	l.seen.refuse(r)
}

// Run writes evidence and reports findings until ctx is done, then writes what
// is left and returns.
func (l *Linter) Run(ctx context.Context) {
	flush, report, prune := time.NewTicker(flushEvery), time.NewTicker(reportEvery), time.NewTicker(pruneEvery)
	defer flush.Stop()
	defer report.Stop()
	defer prune.Stop()
	l.tell(ctx)
	for {
		select {
		case <-flush.C:
			l.try(ctx, l.Flush)
		case <-report.C:
			l.tell(ctx)
		case <-prune.C:
			l.try(ctx, l.prune)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
			defer cancel()
			l.try(last, l.Flush)
			return
		}
	}
}

// try does something with the store, and logs when it begins to fail.
func (l *Linter) try(ctx context.Context, do func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := do(bounded)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !l.failing {
		l.log.WarnContext(ctx, "findings about the traffic of clients are lost until the store answers", "err", err)
	}
	l.failing = err != nil
}

// tell hands all findings to Options.Report.
func (l *Linter) tell(ctx context.Context) {
	if l.report == nil {
		return
	}
	l.try(ctx, func(ctx context.Context) error {
		tenants, err := l.store.Tenants(ctx)
		if err != nil {
			return err
		}
		all := make(map[string][]Report, len(tenants))
		for _, t := range tenants {
			if all[t.Slug], err = l.reports(ctx, t, false); err != nil {
				return err
			}
		}
		l.report(all)
		return nil
	})
}

func (l *Linter) prune(ctx context.Context) error {
	now := l.now()
	return l.store.PruneFindings(ctx, now.Add(-month-day), now.Add(-week-day))
}
