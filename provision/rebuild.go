package provision

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// RebuildReport says what a rebuild found.
type RebuildReport struct {
	// People counts everybody upstream shows, Managed those of them that are
	// managed afterwards, Restored those that this rebuild made managed.
	People   int `json:"people"`
	Managed  int `json:"managed"`
	Restored int `json:"restored"`
}

// Rebuild derives the tenant's persons from upstream again, with the ids that
// they had, after the store was lost or restored from an old backup. Accounts
// in a verified domain that carry an externalId (upstream's other_id) were
// provisioned by a client and are managed again; so were those of whom only an
// invite that ended is left. It is a job: this process carries it out, or
// another one does while this one watches. The error is the last one after
// three attempts.
func (s *Service) Rebuild(ctx context.Context, tenant string, progress func(done, total int)) (RebuildReport, error) {
	if _, _, err := s.enter(ctx, tenant); err != nil {
		return RebuildReport{}, err
	}
	j, err := s.store.EnqueueJob(ctx, store.Job{Tenant: tenant, Kind: jobRebuild})
	if err != nil {
		return RebuildReport{}, err
	}
	helping, stop := context.WithCancel(ctx)
	helped := make(chan struct{})
	go func() {
		defer close(helped)
		s.help(helping)
	}()
	defer func() {
		stop()
		<-helped
	}()
	return s.watch(ctx, j.ID, progress)
}

// help claims rebuilds until ctx is done: where no server runs, a rebuild that
// failed for a passing reason is tried again here or nowhere.
func (s *Service) help(ctx context.Context) {
	t := time.NewTicker(jobPoll)
	defer t.Stop()
	for {
		j, err := s.store.ClaimJob(ctx, s.opts.Replica, []string{jobRebuild}, jobTTL)
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

// watch waits for a job to end and tells how far it is.
func (s *Service) watch(ctx context.Context, id int64, progress func(done, total int)) (RebuildReport, error) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		j, err := s.store.Job(ctx, id)
		if err != nil {
			return RebuildReport{}, err
		}
		switch j.State {
		case store.JobDone:
			var report RebuildReport
			if len(j.Result) == 0 {
				return report, nil
			}
			return report, json.Unmarshal(j.Result, &report)
		case store.JobFailed, store.JobCancelled:
			return RebuildReport{}, errors.New(j.Error)
		}
		if j.State == store.JobQueued && j.Error != "" && j.Attempts > 2 {
			return RebuildReport{}, errors.New(j.Error)
		}
		var p Progress
		if len(j.Progress) > 0 && json.Unmarshal(j.Progress, &p) == nil && progress != nil {
			progress(p.Done, p.Total)
		}
		select {
		case <-ctx.Done():
			return RebuildReport{}, context.Cause(ctx)
		case <-t.C:
		}
	}
}

func (s *Service) rebuild(ctx context.Context, w *workspace, progress func(people int)) (RebuildReport, error) {
	pol, err := w.policy(ctx)
	if err != nil {
		return RebuildReport{}, err
	}
	var report RebuildReport
	sc := s.newScan(w, func(tx store.Tx, r *record) error {
		report.People++
		if !r.row.Managed && r.seen.OtherID != "" && pol.Owns(r.seen.Email) {
			if err := s.restore(tx, pol, r); err != nil {
				return err
			}
			report.Restored++
		}
		if r.row.Managed {
			report.Managed++
		}
		return nil
	}, progress)
	sc.rebuild = true
	_, err = sc.run(ctx)
	return report, err
}

// withdrawn brings those back whom only an invite that ended tells of: they
// were deactivated, or did not accept in time, before they had an account. A
// store that was lost does not tell them from those who were deleted then;
// neither has access.
func (sc *scan) withdrawn(ctx context.Context) error {
	l, err := sc.ancestors(ctx)
	if err != nil {
		return err
	}
	for _, past := range l.ended(sc.alive) {
		deleted, err := sc.deleted(ctx, past)
		if err != nil {
			return err
		}
		if deleted {
			continue
		}
		sc.people++
		m := meeting{acc: inviteOf(past[len(past)-1], sc.s.now()), readAt: sc.started, past: past, traced: true, relink: true}
		if err := sc.queue(ctx, m); err != nil {
			return err
		}
	}
	return sc.flush(ctx)
}

// deleted reports whether the store knows that a client deleted the person of
// one of the invites.
func (sc *scan) deleted(ctx context.Context, past []*upstream.Invite) (bool, error) {
	for _, i := range past {
		dead, err := sc.s.store.TombstonesByUpstream(ctx, sc.w.slug, 0, i.ID)
		if err != nil || len(dead) > 0 {
			return true, err
		}
	}
	return false, nil
}

// restore makes an unmanaged person managed, as the client must have said it.
func (s *Service) restore(tx store.Tx, pol *mapping.Policy, r *record) error {
	u, err := s.view(pol, r, r.seen)
	if err != nil {
		return err
	}
	u.ExternalID = r.seen.OtherID
	if err := r.say(s.codec, u, r.seen.Email, r.seen, s.now()); err != nil {
		return err
	}
	r.row.LastWrittenAt = time.Time{} // nothing was written: reads are not to be doubted
	if err := tx.UpdatePerson(r.row); err != nil {
		return err
	}
	e, err := s.event(scim.Caller{Tenant: r.row.Tenant, Credential: "job:" + jobRebuild}, "user.rebuild", r.row.ID, 0, eventData{UserID: r.row.UserID})
	if err != nil {
		return err
	}
	return tx.AppendEvent(e)
}
