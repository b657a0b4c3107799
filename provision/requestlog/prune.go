package requestlog

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// pruneEvery is how often old rows are looked for.
	pruneEvery = time.Minute
	// ageEvery is how often they are looked for by age, which takes a look at all
	// rows; what is too much is looked for every time.
	ageEvery = 15 * time.Minute
	// portion is how many rows are removed at once, and portionEvery the pause
	// after them: the database has other work too.
	portion      = 1000
	portionEvery = 500 * time.Millisecond
)

// prune removes old rows until ctx is done. Every process does; those that do so
// at once find less to do.
func (l *Log) prune(ctx context.Context) {
	// Processes that started together do not look together.
	wait := rand.N(pruneEvery)
	var aged time.Time
	for {
		if !pause(ctx, wait) {
			return
		}
		var before time.Time
		now := l.o.Now()
		if since := now.Sub(aged); since >= ageEvery || since < 0 {
			before = now.Add(-l.o.Keep)
		}
		err := l.pruneAll(ctx, before)
		switch {
		case err != nil && ctx.Err() == nil:
			l.complain("old requests are not removed from the log of requests", err)
		case err == nil && !before.IsZero():
			aged = now
		}
		wait = pruneEvery
	}
}

// pruneAll removes what was received before a time, or is too much, of every
// tenant. A zero time is before all.
func (l *Log) pruneAll(ctx context.Context, before time.Time) error {
	tenants, err := l.o.Store.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		for {
			n, err := l.o.Store.PruneRequests(ctx, t.Slug, before, l.o.MaxRows, portion)
			if err != nil {
				return err
			}
			if n < portion {
				break
			}
			if !pause(ctx, portionEvery) {
				return nil
			}
		}
	}
	return nil
}

// pause waits; it reports whether ctx is not done.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
