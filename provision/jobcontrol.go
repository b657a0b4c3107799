package provision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// Progress is the JSON of store.Job.Progress.
type Progress struct {
	// Done counts what is done, mostly people; Total is 0 while it is not known.
	Done  int `json:"done"`
	Total int `json:"total,omitempty"`
	// Checkpoint is from where the job goes on after an interruption, in a form
	// of its own; nil: it begins anew.
	Checkpoint jsontext.Value `json:"checkpoint,omitempty"`
}

// standing is how far a job is.
type standing struct {
	done, total int
	// checkpoint is encoded whenever it is stored, by another goroutine: it must
	// not change any more. nil: none.
	checkpoint any
}

// progress is the standing as the store keeps it; nil for nil, which leaves
// there what an earlier attempt left.
func (a *standing) progress() ([]byte, error) {
	if a == nil {
		return nil, nil
	}
	p := Progress{Done: a.done, Total: a.total}
	if a.checkpoint != nil {
		text, err := json.Marshal(a.checkpoint)
		if err != nil {
			return nil, err
		}
		p.Checkpoint = text
	}
	return json.Marshal(p)
}

// leaveProgress stores how far a job came. One that is done needs no
// checkpoint.
func (s *Service) leaveProgress(ctx context.Context, j *store.Job, at *standing, done bool) {
	if at == nil {
		return
	}
	last := *at
	if done {
		last.checkpoint = nil
	}
	text, err := last.progress()
	if err == nil {
		_, err = s.store.HeartbeatJob(ctx, j.ID, s.opts.Replica, jobTTL, text)
	}
	if err != nil && !errors.Is(err, store.ErrLeaseLost) {
		s.complain(ctx, "cannot write down how far a job came", err)
	}
}

// marshalled is the result of a job.
func marshalled[T any](report T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(report)
}

// followed asks for a job and sees it done: this process carries it out, or
// another one does while this one watches. Its result goes into result. The
// error is the last one after three attempts.
func (s *Service) followed(ctx context.Context, j store.Job, result any, progress func(done, total int)) error {
	asked, err := s.store.EnqueueJob(ctx, j)
	if err != nil {
		return err
	}
	helping, stop := context.WithCancel(ctx)
	helped := make(chan struct{})
	go func() {
		defer close(helped)
		s.help(helping, j.Kind)
	}()
	defer func() {
		stop()
		<-helped
	}()
	return s.watch(ctx, asked, result, progress)
}

// help claims jobs of a kind until ctx is done: where no server runs, one that
// failed for a passing reason is tried again here or nowhere.
func (s *Service) help(ctx context.Context, kind string) {
	t := time.NewTicker(jobPoll)
	defer t.Stop()
	for {
		j, err := s.store.ClaimJob(ctx, s.opts.Replica, []string{kind}, jobTTL)
		switch {
		case err == nil:
			s.do(ctx, j)
		case !errors.Is(err, store.ErrNotFound):
			s.complain(ctx, "cannot look for jobs", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// watchEvery is how often a job is looked at that somebody waits for.
const watchEvery = 200 * time.Millisecond

// watch waits for a job to end and tells how far it is. progress may be nil.
func (s *Service) watch(ctx context.Context, asked *store.Job, result any, progress func(done, total int)) error {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		j, err := s.store.Job(ctx, asked.ID)
		if err != nil {
			return err
		}
		var p Progress
		if progress != nil && len(j.Progress) > 0 && json.Unmarshal(j.Progress, &p) == nil {
			progress(p.Done, p.Total)
		}
		switch {
		case j.State == store.JobDone && len(j.Result) == 0:
			return nil
		case j.State == store.JobDone:
			return json.Unmarshal(j.Result, result)
		case j.State == store.JobFailed, j.State == store.JobCancelled,
			j.State == store.JobQueued && j.Error != "" && j.Attempts-asked.Attempts > 2:
			return fmt.Errorf("job %d: %s", j.ID, j.Error)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// CancelReport says what cancelling a job did.
type CancelReport struct {
	// Stopping says that the job runs and ends within seconds; else it is
	// cancelled already.
	Stopping bool `json:"stopping,omitempty"`
	// Dropped counts the people who are not given the roles that a job of kind
	// roles was to give. What it was to take away goes on: Removals.
	Dropped  int `json:"dropped_grants,omitempty"`
	Removals int `json:"removals_left,omitempty"`
}

// CancelJob cancels a queued job at once and asks a running one to stop. The
// grants that a job of kind roles was to make are dropped, as of now; what it
// was to take away is done by another one. store.ErrNotFound when there is no
// such job.
func (s *Service) CancelJob(ctx context.Context, id int64, actor string) (CancelReport, error) {
	var r CancelReport
	j, err := s.store.Job(ctx, id)
	if err != nil {
		return r, err
	}
	if j.State != store.JobQueued && j.State != store.JobRunning {
		return r, fmt.Errorf("job %d is %s already: nothing to cancel", id, j.State)
	}
	if err := s.store.CancelJob(ctx, id); err != nil {
		return r, err
	}
	r.Stopping = j.State == store.JobRunning
	if j.Kind == jobRoles {
		all, removals, err := s.store.CountRoleWork(ctx, j.Tenant)
		if err == nil {
			err = s.dropGrants(ctx, j.Tenant)
		}
		if err != nil {
			return r, fmt.Errorf("job %d is cancelled, but the roles that it was to give still wait and another job will give them: %w", id, err)
		}
		r.Dropped, r.Removals = all-removals, removals
	}
	return r, s.store.Update(ctx, func(tx store.Tx) error {
		e, err := s.event(scim.Caller{Tenant: j.Tenant, Credential: actor}, "job.cancel", "", 0, eventData{Roles: r.Dropped})
		if err != nil {
			return err
		}
		e.ResourceType, e.Detail = "", fmt.Sprintf("job %d (%s) was cancelled", id, j.Kind)
		return tx.AppendEvent(e)
	})
}

// noticed is after how long every server works by a tenant's new policy.
const noticed = 10 * time.Second

// RecomputeRoles asks for a job that finds everybody whose roles are not what
// a tenant's changed policy gives, and has them put right. It begins when every
// server has noticed the change: one that had not would put back what was.
func (s *Service) RecomputeRoles(ctx context.Context, tenant string) (*store.Job, error) {
	t, err := s.store.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	// One that runs may have passed people already: each version has its own.
	return s.store.EnqueueJob(ctx, store.Job{
		Tenant: tenant, Kind: jobRecompute, Key: "version " + strconv.FormatInt(t.Version, 10), RunAt: s.now().Add(noticed),
	})
}

// latest is the tenant's workspace as the store has it now.
func (ws *Workspaces) latest(ctx context.Context, slug string) (*workspace, error) {
	t, err := ws.opts.Store.Tenant(ctx, slug)
	if err != nil {
		return nil, err
	}
	return ws.load(t)
}
