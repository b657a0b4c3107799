package provision

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// The kinds of jobs.
const (
	jobScan    = "directory.scan"
	jobRebuild = "rebuild"
	// jobRoles does a tenant's role work.
	jobRoles = "roles"
	// jobInvites follows invites that were not accepted.
	jobInvites = "invites"
	// jobRecompute finds whose roles are not what the rules give.
	jobRecompute = "roles.recompute"
	// jobReconcile compares everybody with what the client said, and restores
	// that when its key is reconcileFix.
	jobReconcile = "reconcile"
)

// jobSorts are the kinds of jobs by sort: those that look at upstream are done
// soon, those that change people may take as long as a tenant's rate limit makes
// them. Each sort has workers of its own, so that no directory grows old
// because of the others.
var jobSorts = [2][]string{
	{jobScan, jobRebuild},
	{jobRoles, jobRecompute, jobInvites, jobReconcile},
}

// errCancelled means that somebody asked for the job to stop.
var errCancelled = errors.New("cancelled")

// do carries a claimed job out and says how it ended. A job that failed for a
// passing reason goes back into the queue.
func (s *Service) do(ctx context.Context, j *store.Job) {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var at atomic.Pointer[standing]
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		s.keep(work, j, &at, stop)
	}()
	result, err := s.carry(work, j, func(now standing) { at.Store(&now) })
	if cause := context.Cause(work); cause != nil {
		err = cause
	}
	stop(nil)
	<-beating

	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.leaveProgress(end, j, at.Load(), err == nil)
	switch {
	case err == nil:
		err = s.store.FinishJob(end, j.ID, s.opts.Replica, store.JobDone, result, "")
	case errors.Is(err, store.ErrLeaseLost):
		return // somebody else carries it on
	case errors.Is(err, errCancelled):
		err = s.store.FinishJob(end, j.ID, s.opts.Replica, store.JobCancelled, nil, "cancelled")
	case isHeld(err):
		err = s.store.RetryJob(end, j.ID, s.opts.Replica, s.now().Add(time.Minute), refusal(err).Detail)
	case ctx.Err() != nil:
		err = s.store.RetryJob(end, j.ID, s.opts.Replica, s.now(), "the replica stopped")
	default:
		s.log.WarnContext(ctx, "a job failed and is tried again", "job", j.ID, "kind", j.Kind, "tenant", j.Tenant, "err", err)
		err = s.store.RetryJob(end, j.ID, s.opts.Replica, s.now().Add(backOff(j.Attempts, err)), err.Error())
	}
	if err != nil && !errors.Is(err, store.ErrLeaseLost) {
		s.complain(ctx, "cannot write down how a job ended", err)
	}
}

// backOff is the pause before a job is tried again: as long as upstream asks
// for, else 10 seconds at most, so that the directory is back within a minute
// of upstream.
func backOff(attempts int, err error) time.Duration {
	if e, ok := errors.AsType[*upstream.Error](err); ok && e.RetryAfter > 0 {
		return min(e.RetryAfter, time.Minute)
	}
	return min(time.Duration(max(attempts, 1))*time.Second, jobRetry)
}

// keep holds the job's lease and stores its progress.
func (s *Service) keep(ctx context.Context, j *store.Job, at *atomic.Pointer[standing], stop context.CancelCauseFunc) {
	t := time.NewTicker(jobTTL / 6)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		text, err := at.Load().progress()
		if err != nil {
			stop(err)
			return
		}
		cancel, err := s.store.HeartbeatJob(ctx, j.ID, s.opts.Replica, jobTTL, text)
		switch {
		case errors.Is(err, store.ErrLeaseLost):
			stop(err)
			return
		case cancel:
			stop(errCancelled)
			return
		case err != nil:
			s.complain(ctx, "cannot keep a job", err)
		}
	}
}

func (s *Service) carry(ctx context.Context, j *store.Job, report func(standing)) (result []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(ctx, "a job panicked", "job", j.ID, "kind", j.Kind, "tenant", j.Tenant, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			err = fmt.Errorf("the job panicked: %T", v)
		}
	}()
	w, err := s.spaces.get(ctx, j.Tenant)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // the tenant was deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	progress := func(done, total int) { report(standing{done: done, total: total}) }
	switch j.Kind {
	case jobScan:
		if err := s.sweep(ctx, w); err != nil {
			s.complain(ctx, "cannot finish creates that were cut short", err)
		}
		if _, err := s.runScan(ctx, w, nil, people(progress)); err != nil {
			return nil, err
		}
		_, err := s.store.EnqueueJob(ctx, store.Job{Tenant: w.slug, Kind: jobInvites})
		s.nudge()
		return nil, err
	case jobRebuild:
		return marshalled(s.rebuild(ctx, w, people(progress)))
	case jobReconcile:
		return marshalled(s.reconcile(ctx, w, j, report))
	case jobRoles:
		return nil, s.runRoles(ctx, w, progress)
	case jobInvites:
		return nil, s.follow(ctx, w, progress)
	case jobRecompute:
		if w, err = s.spaces.latest(ctx, j.Tenant); err != nil {
			return nil, err
		}
		return nil, s.runRecompute(ctx, w, progress)
	}
	return nil, fmt.Errorf("unknown kind of job %q", j.Kind)
}

// people is progress of which nobody knows the end.
func people(progress func(done, total int)) func(int) {
	return func(n int) { progress(n, 0) }
}
