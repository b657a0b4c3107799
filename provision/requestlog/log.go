package requestlog

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

const (
	// maxWaiting is how many entries may wait to be written: several bulk
	// requests of a thousand operations.
	maxWaiting = 4096
	// maxBatch is how many are written in one transaction, which others wait
	// for on SQLite.
	maxBatch = 64
	// batchEvery is how long an entry waits for others to be written with.
	batchEvery = time.Second
	// writeTimeout bounds a write, and drainTimeout all of those at the end.
	writeTimeout = 5 * time.Second
	drainTimeout = 2 * time.Second
	// complainEvery is the least time between two log lines about lost rows.
	complainEvery = time.Minute
)

// Store is what the log needs of a store.
type Store interface {
	AppendRequests(ctx context.Context, rows []*store.Request) error
	PruneRequests(ctx context.Context, tenant string, before time.Time, keep, limit int) (int, error)
	Tenants(ctx context.Context) ([]*store.Tenant, error)
}

// Options configure New.
type Options struct {
	// Store and Pseudonyms are required.
	Store      Store
	Pseudonyms *Pseudonyms
	// Keep is how long a row is kept. 0: 30 days.
	Keep time.Duration
	// MaxRows is how many rows a tenant keeps. 0: none; nothing is logged, and
	// what was logged before is removed.
	MaxRows int
	// Dropped hears how many entries were lost. It must not block. nil: nobody
	// does.
	Dropped func(n int)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Logger hears now and then why rows are lost. nil: nobody.
	Logger *slog.Logger
}

// Log takes entries and writes them behind the requests. It is safe for
// concurrent use.
type Log struct {
	o     Options
	queue chan Entry

	mu         sync.Mutex
	complained time.Time
}

// New makes a Log; it does nothing before Run.
func New(o Options) (*Log, error) {
	if o.Store == nil || o.Pseudonyms == nil {
		return nil, errors.New("requestlog: Store and Pseudonyms are required")
	}
	if o.Keep < 0 || o.MaxRows < 0 {
		return nil, errors.New("requestlog: Keep and MaxRows are not negative")
	}
	o.Keep = cmp.Or(o.Keep, 30*24*time.Hour)
	if o.Dropped == nil {
		o.Dropped = func(int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{o: o, queue: make(chan Entry, maxWaiting)}, nil
}

// Add hands an entry over. It never blocks: what does not fit is counted and
// lost. Entries without a tenant are not kept.
func (l *Log) Add(e Entry) {
	if e.Tenant == "" || l.o.MaxRows == 0 {
		return
	}
	e.bound()
	select {
	case l.queue <- e:
	default:
		l.o.Dropped(1)
	}
}

// Run writes and prunes until ctx is done, then writes what waits, if the store
// takes it soon.
func (l *Log) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { l.prune(ctx) })
	defer all.Wait()
	for ctx.Err() == nil {
		select {
		case e := <-l.queue:
			rows := l.batch(ctx, e)
			l.write(context.WithoutCancel(ctx), rows)
		case <-ctx.Done():
		}
	}
	l.drain(context.WithoutCancel(ctx))
}

// batch turns an entry, and those that come within a second of it, into rows.
func (l *Log) batch(ctx context.Context, first Entry) []*store.Request {
	rows := []*store.Request{l.row(&first)}
	end := time.NewTimer(batchEvery)
	defer end.Stop()
	for len(rows) < maxBatch {
		select {
		case e := <-l.queue:
			rows = append(rows, l.row(&e))
		case <-end.C:
			return rows
		case <-ctx.Done():
			return rows
		}
	}
	return rows
}

func (l *Log) row(e *Entry) *store.Request {
	return masker{l.o.Pseudonyms, e.Tenant}.row(e)
}

// write stores rows, or loses them.
func (l *Log) write(ctx context.Context, rows []*store.Request) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := l.o.Store.AppendRequests(ctx, rows); err != nil {
		l.o.Dropped(len(rows))
		l.complain("requests are missing in the log of requests", err)
	}
}

// drain writes what waits, as long as there is time.
func (l *Log) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for len(l.queue) > 0 {
		var rows []*store.Request
		for len(rows) < maxBatch && len(l.queue) > 0 {
			e := <-l.queue
			rows = append(rows, l.row(&e))
		}
		l.write(ctx, rows)
	}
}

// complain logs an error, unless one was logged lately.
func (l *Log) complain(message string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.o.Now(); now.Sub(l.complained) >= complainEvery {
		l.complained = now
		l.o.Logger.Warn(message, "err", err)
	}
}
