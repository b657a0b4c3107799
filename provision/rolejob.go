package provision

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// enqueueRoles asks for a job that does a tenant's role work. When that cannot
// be stored now, the schedule asks again.
func (s *Service) enqueueRoles(ctx context.Context, tenant string) {
	ctx, cancel := commitContext(ctx)
	defer cancel()
	if _, err := s.store.EnqueueJob(ctx, store.Job{Tenant: tenant, Kind: jobRoles}); err != nil {
		s.complain(ctx, "cannot ask for the roles to be put right", err)
		return
	}
	s.nudge()
}

// runRoles does the role work of a tenant that is due, until there is none.
func (s *Service) runRoles(ctx context.Context, w *workspace, progress func(done, total int)) error {
	all, _, err := s.store.CountRoleWork(ctx, w.slug)
	if err != nil {
		return err
	}
	c := scim.Caller{Tenant: w.slug, Credential: "job:" + jobRoles}
	var done atomic.Int64
	for {
		work, err := s.store.RoleWork(ctx, w.slug, store.RoleWorkQuery{DueBy: s.now(), Limit: roleBatch})
		if err != nil {
			return err
		}
		if len(work) == 0 {
			progress(int(done.Load()), int(done.Load()))
			return nil
		}
		last, of := map[string]store.RoleWork{}, map[string]int64{} // by person
		for _, x := range work {
			last[x.PersonID] = x
			of[x.PersonID]++
		}
		err = inLanes(slices.Collect(maps.Values(last)), func(x store.RoleWork) error {
			err := s.reworkOrDelay(ctx, c, x)
			if n := int(done.Add(of[x.PersonID])); err == nil {
				progress(n, max(all, n))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
}

// reworkOrDelay puts a person's roles right, or says when that is tried again.
// An error is one of the tenant: everybody else would meet it too.
func (s *Service) reworkOrDelay(ctx context.Context, c scim.Caller, x store.RoleWork) error {
	err := s.rework(ctx, c, x.GroupID, x.PersonID)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ofEverybody(err) {
		return err
	}
	delay := maxRoleDelay
	if x.Attempts < 8 {
		delay = min(delay, time.Second<<x.Attempts)
	}
	s.log.WarnContext(ctx, "a person's roles are tried again later", "tenant", c.Tenant, "person", x.PersonID, "after", delay, "err", err)
	at := s.now().Add(delay)
	return s.store.Update(ctx, func(tx store.Tx) error {
		return tx.DelayRoleWork(c.Tenant, x.PersonID, x.Seq, at, refusal(err).Detail)
	})
}

// dropGrants ends what a cancelled job was to give; what is to be taken away
// stays to be done.
func (s *Service) dropGrants(ctx context.Context, tenant string) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		n, err := tx.DropGrants(tenant, 1<<62)
		if err != nil || n == 0 {
			return err
		}
		e, err := s.event(scim.Caller{Tenant: tenant, Credential: "job:" + jobRoles}, "roles.cancel", "", 0, eventData{Roles: n})
		if err != nil {
			return err
		}
		e.ResourceType, e.Detail = "", "the job was cancelled: roles that it was to give are not given; reconcile shows and gives them"
		return tx.AppendEvent(e)
	})
}

// scheduleRoles asks for a job where role work is due.
func (s *Service) scheduleRoles(ctx context.Context, tenant string) error {
	work, err := s.store.RoleWork(ctx, tenant, store.RoleWorkQuery{DueBy: s.now(), Limit: 1})
	if err != nil || len(work) == 0 {
		return err
	}
	_, err = s.store.EnqueueJob(ctx, store.Job{Tenant: tenant, Kind: jobRoles})
	s.nudge()
	return err
}

// runRecompute finds everybody whose roles are not what the tenant's rules give
// now, and has them put right. Where that takes more away than the guard lets
// pass, nobody is touched: a rule that was written by mistake is not to empty a
// company.
func (s *Service) runRecompute(ctx context.Context, w *workspace, progress func(done, total int)) error {
	pol, err := w.policy(ctx)
	if err != nil {
		return err
	}
	total, err := s.store.CountPersons(ctx, w.slug)
	if err != nil {
		return err
	}
	var due []store.RoleWork
	var losers []string
	done := 0
	err = s.eachManaged(ctx, w.slug, func(part []*record) error {
		done += len(part)
		progress(done, max(total, done))
		for _, r := range part {
			steps, err := s.astray(pol, r)
			if err != nil {
				return err
			}
			if len(steps) == 0 {
				continue
			}
			work := s.roleWorkOf(r.row)
			if work.Removal = pol.TakesAway(r.seen, steps); work.Removal {
				losers = append(losers, r.row.ID+"/rules")
			}
			due = append(due, work)
		}
		return nil
	})
	if err != nil {
		return err
	}
	allowed, err := s.allowance(ctx, w, GuardRoleLosses)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(due, chunk) {
		err := s.store.Update(ctx, func(tx store.Tx) error {
			if err := s.pass(tx, w, allowed, losers); err != nil {
				return err
			}
			return tx.PutRoleWork(part)
		})
		if err != nil {
			return s.held(ctx, w, err)
		}
	}
	if len(due) > 0 {
		s.enqueueRoles(ctx, w.slug)
	}
	return nil
}

// roleWorkOf is work of a person that no group asks for.
func (s *Service) roleWorkOf(p *store.Person) store.RoleWork {
	now := s.now()
	return store.RoleWork{Tenant: p.Tenant, PersonID: p.ID, RunAt: now, CreatedAt: now}
}

// astray lists what would have to be done upstream for a managed person to have
// the roles and organizations that are due, by what upstream showed last.
func (s *Service) astray(pol *mapping.Policy, r *record) ([]mapping.Step, error) {
	u, err := r.desired(s.codec)
	if err != nil || u == nil || !pol.Governs() {
		return nil, err
	}
	want, err := pol.DesireOf(u, r.seen, mapping.Past{Written: r.written, Groups: r.groups, Unsaid: true})
	if _, refused := errors.AsType[*scim.Error](err); refused {
		return nil, nil // what the client said is not possible any more: its next request hears so
	}
	if err != nil {
		return nil, err
	}
	return pol.Plan(r.seen, want, mapping.Situation{}).Steps, nil
}

// eachManaged reads the managed persons with their groups, a chunk at a time.
func (s *Service) eachManaged(ctx context.Context, tenant string, do func([]*record) error) error {
	for after := int64(0); ; {
		rows, err := s.store.Persons(ctx, tenant, store.Window{After: after, Limit: chunk})
		if err != nil {
			return err
		}
		part, err := s.records(ctx, tenant, rows)
		if err != nil {
			return err
		}
		managed := part[:0]
		for _, r := range part {
			if r.row.Managed {
				managed = append(managed, r)
			}
		}
		if err := do(managed); err != nil {
			return err
		}
		if len(rows) < chunk {
			return nil
		}
		after = rows[len(rows)-1].Seq
	}
}
