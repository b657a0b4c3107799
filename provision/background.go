package provision

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// The rhythms of the background work. All of them may be late without harm.
const (
	generationPoll = 2 * time.Second
	heartbeatEvery = 5 * time.Second
	heartbeatTTL   = 15 * time.Second
	jobPoll        = time.Second
	jobPollMost    = 5 * time.Second // while the store does not answer
	jobTTL         = 30 * time.Second
	jobRetry       = 10 * time.Second
	workers        = 4 // of each sort of job
)

// generationWatch remembers the generation that was last loaded.
type generationWatch struct {
	seen   atomic.Int64
	loaded atomic.Bool
}

// Run keeps the tenants, the directory and the jobs going until ctx is done,
// then waits for what is under way to stop. It returns nil.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	every := func(d time.Duration, f func(context.Context)) {
		wg.Go(func() { s.loop(ctx, d, f) })
	}
	s.beat(ctx)
	s.reload(ctx)
	every(heartbeatEvery, s.beat)
	every(generationPoll, s.reload)
	every(s.scheduleEvery(), s.schedule)
	for range workers {
		for sort := range jobSorts {
			wg.Go(func() { s.work(ctx, sort) })
		}
	}
	wg.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.store.RemoveReplica(end, s.opts.Replica); err != nil {
		s.log.Warn("the other replicas will notice that this one stopped", "err", err)
	}
	return nil
}

// scheduleEvery is how often it is looked whose directory is due.
func (s *Service) scheduleEvery() time.Duration {
	return min(max(s.opts.DirectoryInterval/10, 100*time.Millisecond), 5*time.Second)
}

func (s *Service) loop(ctx context.Context, d time.Duration, f func(context.Context)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		s.survive(ctx, f)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// survive runs f; a defect in it must not end the process.
func (s *Service) survive(ctx context.Context, f func(context.Context)) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "background work panicked", "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
	}()
	f(ctx)
}

// beat says that this replica lives and takes its share of the rate limits.
func (s *Service) beat(ctx context.Context) {
	live, err := s.store.Heartbeat(ctx, s.opts.Replica, heartbeatTTL)
	if s.fails(ctx, "cannot tell the other replicas that this one lives", err) {
		return
	}
	s.spaces.share(max(live, 1))
}

// reload follows changes of tenants.
func (s *Service) reload(ctx context.Context) {
	g, err := s.store.Generation(ctx)
	if s.fails(ctx, "cannot see whether tenants changed", err) {
		return
	}
	if s.generation.loaded.Load() && s.generation.seen.Load() == g {
		return
	}
	if _, err := s.spaces.refresh(ctx); s.fails(ctx, "cannot load the tenants", err) {
		return
	}
	s.generation.seen.Store(g)
	s.generation.loaded.Store(true)
	s.schedule(ctx)
}

// schedule asks for a scan of every tenant whose directory is due. Whoever
// claims the job makes it; there is one at a time for each tenant.
func (s *Service) schedule(ctx context.Context) {
	tenants, err := s.store.Tenants(ctx)
	if s.fails(ctx, "cannot see which directories are due", err) {
		return
	}
	for _, t := range tenants {
		if err := s.scheduleRoles(ctx, t.Slug); s.fails(ctx, "cannot see whether role work is due", err) {
			return
		}
		d, err := s.store.Directory(ctx, t.Slug)
		if s.fails(ctx, "cannot see when a directory was read", err) {
			return
		}
		if !d.StartedAt.IsZero() && s.now().Sub(d.StartedAt) < s.opts.DirectoryInterval {
			continue
		}
		_, err = s.store.EnqueueJob(ctx, store.Job{Tenant: t.Slug, Kind: jobScan})
		if s.fails(ctx, "cannot ask for a scan", err) {
			return
		}
		s.nudge()
	}
}

// nudge wakes a worker of each sort.
func (s *Service) nudge() {
	for _, wake := range s.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (s *Service) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		s.log.ErrorContext(ctx, what, "err", err)
	}
}

// troubles remembers since when each kind of background work fails.
type troubles struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// fails reports whether err is one, and logs when that begins and when it ends:
// what is tried every few seconds is not to fill the log meanwhile.
func (s *Service) fails(ctx context.Context, what string, err error) bool {
	if ctx.Err() != nil {
		return err != nil
	}
	t := &s.troubles
	t.mu.Lock()
	defer t.mu.Unlock()
	since, failing := t.since[what]
	switch {
	case err != nil && !failing:
		if t.since == nil {
			t.since = map[string]time.Time{}
		}
		t.since[what] = s.now()
		s.log.ErrorContext(ctx, what, "err", err)
	case err == nil && failing:
		delete(t.since, what)
		s.log.InfoContext(ctx, "background work goes on", "was", what, "for", s.now().Sub(since))
	}
	return err != nil
}

// work claims jobs of a sort and does them.
func (s *Service) work(ctx context.Context, sort int) {
	pause := jobPoll
	for ctx.Err() == nil {
		j, err := s.store.ClaimJob(ctx, s.opts.Replica, jobSorts[sort], jobTTL)
		none := errors.Is(err, store.ErrNotFound)
		if none {
			err = nil
		}
		wake := s.wake[sort]
		if s.fails(ctx, "cannot look for jobs", err) {
			wake = nil // whoever has work knows no better
		} else if pause = jobPoll; !none {
			s.do(ctx, j)
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-t.C:
		}
		t.Stop()
		if wake == nil {
			pause = min(2*pause, jobPollMost)
		}
	}
}
