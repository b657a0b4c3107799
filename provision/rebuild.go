package provision

import (
	"context"
	"time"

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
// another one does while this one watches. Groups stay as the store has them, and
// where it has any, a job puts the roles right afterwards. The error is the last
// one after three attempts.
func (s *Service) Rebuild(ctx context.Context, tenant string, progress func(done, total int)) (RebuildReport, error) {
	if _, _, err := s.enter(ctx, tenant); err != nil {
		return RebuildReport{}, err
	}
	var report RebuildReport
	err := s.followed(ctx, store.Job{Tenant: tenant, Kind: jobRebuild}, &report, progress)
	return report, err
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
	if _, err = sc.run(ctx); err != nil {
		return report, err
	}
	groups, err := s.store.CountGroups(ctx, w.slug)
	if err != nil || groups == 0 || pol.RequireGroup && report.Restored > 0 {
		return report, err // a lost group is no reason to take anything from its members
	}
	_, err = s.store.EnqueueJob(ctx, store.Job{Tenant: w.slug, Kind: jobRecompute})
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
	if err := r.say(s.codec, u, r.seen.Email, mapping.Desire{}, r.seen, s.now()); err != nil {
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
