package provision

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
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
// provisioned by a client and are managed again. It is a job: this process
// carries it out, or another one does while this one watches.
func (s *Service) Rebuild(ctx context.Context, tenant string, progress func(done, total int)) (RebuildReport, error) {
	if _, _, err := s.enter(ctx, tenant); err != nil {
		return RebuildReport{}, err
	}
	j, err := s.store.EnqueueJob(ctx, store.Job{Tenant: tenant, Kind: jobRebuild})
	if err != nil {
		return RebuildReport{}, err
	}
	go s.help(ctx)
	return s.watch(ctx, j.ID, progress)
}

// help claims one rebuild, if nobody else has.
func (s *Service) help(ctx context.Context) {
	if j, err := s.store.ClaimJob(ctx, s.opts.Replica, []string{jobRebuild}, jobTTL); err == nil {
		s.do(ctx, j)
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
	_, err = s.runScan(ctx, w, func(tx store.Tx, r *record) error {
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
	return report, err
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
