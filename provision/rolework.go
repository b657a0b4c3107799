package provision

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

const (
	// inlineGrants is how many people a request gives roles to itself before
	// it is answered; more trail as a job.
	inlineGrants = 20
	// roleLanes is how many people are worked on at a time: the credential's
	// rate limit sets the pace.
	roleLanes = 8
	// roleBatch is how much role work is read at a time.
	roleBatch = 200
	// settleMargin is what a request keeps of its time to answer in.
	settleMargin = 2 * time.Second
	// maxRoleDelay is the longest pause between two attempts at one person.
	maxRoleDelay = 5 * time.Minute
)

// settle sees to the roles after a group changed: what it takes away is gone
// upstream before the request is answered, what it gives may trail.
func (k *regrouping) settle(ctx context.Context) error {
	if !k.pol.Governs() {
		return k.purge(ctx)
	}
	if err := k.takeAway(ctx); err != nil {
		k.s.enqueueRoles(ctx, k.c.Tenant)
		return err
	}
	if grants := k.grants(); len(grants) > inlineGrants || !k.s.reworkAll(ctx, k.c, k.id, grants) {
		k.s.enqueueRoles(ctx, k.c.Tenant)
	}
	return k.purge(ctx)
}

// purge forgets a deleted group when nothing of it is left to be done.
func (k *regrouping) purge(ctx context.Context) error {
	if !k.remove {
		return nil
	}
	ctx, cancel := commitContext(ctx)
	defer cancel()
	return k.s.store.Update(ctx, func(tx store.Tx) error {
		if k.gone {
			if err := k.append(tx); err != nil {
				return err
			}
		}
		return tx.PurgeGroup(k.c.Tenant, k.id)
	})
}

func (k *regrouping) grants() []string {
	var ids []string
	for _, w := range k.work {
		if !w.Removal {
			ids = append(ids, w.PersonID)
		}
	}
	return ids
}

// renamed is where role work is kept that the change of a group's name, and
// not of its members, asks for: whoever sends the name again waits for all of
// that, and a request about some members only for theirs.
func renamed(group string) string { return group + "#name" }

// groupID is the group of role work.
func groupID(key string) string {
	id, _, _ := strings.Cut(key, "#")
	return id
}

// concerned selects the removals that the request waits for: those of the
// persons whom it names, or all where it speaks of everybody. A client that
// repeats a request which was not answered waits for what that one began, and
// whoever takes somebody out waits for what a change of the name has yet to take
// from that one.
func (k *regrouping) concerned() []store.RoleWorkQuery {
	if k.create && !slices.ContainsFunc(k.work, func(w store.RoleWork) bool { return w.Removal }) {
		return nil // nobody has asked for anything of this group before
	}
	everybody, named := k.remove, map[string]bool{}
	for _, m := range k.members {
		everybody = everybody || m.Op == scim.MemberReplace || m.Filter != nil
		for _, v := range m.Values {
			if id, ok := k.known[v]; ok {
				named[id] = true
			}
		}
	}
	var qs []store.RoleWorkQuery
	for _, key := range []string{k.id, renamed(k.id)} {
		q := store.RoleWorkQuery{GroupID: key, Removals: true}
		switch {
		case everybody, key != k.id && (k.name != nil || k.externalID != nil):
		case len(named) > 0:
			q.PersonIDs = sortedKeys(named)
		default:
			continue
		}
		qs = append(qs, q)
	}
	return qs
}

// left reads the removals that the request waits for, some of them.
func (k *regrouping) left(ctx context.Context, limit int) ([]store.RoleWork, error) {
	var work []store.RoleWork
	for _, q := range k.concerned() {
		q.Limit = limit
		part, err := k.s.store.RoleWork(ctx, k.c.Tenant, q)
		if err != nil {
			return nil, err
		}
		work = append(work, part...)
	}
	return work, nil
}

// takeAway does the removals that the request waits for, or says how many are
// still under way.
func (k *regrouping) takeAway(ctx context.Context) error {
	tried := map[string]int{}
	for {
		work, err := k.left(ctx, roleBatch)
		if err != nil || len(work) == 0 {
			return err
		}
		for _, w := range work {
			if tried[w.PersonID]++; tried[w.PersonID] > 3 {
				return k.unfinished(ctx, &stuckError{"the role work of a person does not end"})
			}
		}
		err = inLanes(work, func(w store.RoleWork) error {
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < settleMargin {
				return context.DeadlineExceeded
			}
			if err := k.s.rework(ctx, k.c, w.GroupID, w.PersonID); err != nil {
				return &personError{w.PersonID, err}
			}
			return nil
		})
		switch {
		case err == nil:
		case rests(ctx, err):
			clear(tried)
		default:
			return k.unfinished(ctx, err)
		}
	}
}

// rests waits as long as upstream's rate limit asks for and reports whether
// there is time to go on after that.
func rests(ctx context.Context, err error) bool {
	e, ok := errors.AsType[*upstream.Error](err)
	if !ok || e.Kind != upstream.RateLimited {
		return false
	}
	pause := max(e.RetryAfter, time.Second)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause+settleMargin {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// personError is why the work on a person failed.
type personError struct {
	id  string
	err error
}

func (e *personError) Error() string { return "person " + e.id + ": " + e.err.Error() }

func (e *personError) Unwrap() error { return e.err }

// inLanes works on several at a time. When everybody else would meet an error
// too, nobody is begun after it; whoever was begun is finished. It returns the
// first error.
func inLanes[T any](all []T, do func(T) error) error {
	var g errgroup.Group
	var stop atomic.Bool
	g.SetLimit(roleLanes)
	for _, x := range all {
		g.Go(func() error {
			if stop.Load() {
				return nil
			}
			err := do(x)
			if err != nil && ofEverybody(err) {
				stop.Store(true)
			}
			return err
		})
	}
	return g.Wait()
}

// ofEverybody reports whether an error is one of the tenant or of the request,
// and not of the person whose work met it.
func ofEverybody(err error) bool {
	switch upstream.KindOf(err) {
	case upstream.Unavailable, upstream.RateLimited, upstream.Unauthorized:
		return true
	}
	_, wrong := isConfig(err)
	return wrong || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// unfinished answers while somebody may still have what the request takes
// away.
func (k *regrouping) unfinished(ctx context.Context, cause error) error {
	ctx, cancel := commitContext(ctx)
	defer cancel()
	if upstream.IsConflict(cause, upstream.CodeLastOwner) {
		if back, err := k.giveBack(ctx, cause); back || err != nil {
			return cmp.Or(err, error(refusal(cause)))
		}
	}
	left, err := k.left(ctx, 100_000)
	if err != nil {
		return err
	}
	e, why := refusal(cause), ""
	if !errors.Is(cause, context.DeadlineExceeded) {
		why = " (" + e.Detail + ")"
	}
	return scim.Unavailable(max(e.RetryAfter, retrySoon),
		"the group is changed, but %d people may still have a role or access at Share A Refund that they lose by it: the bridge goes on, send the request again to learn when it is done%s",
		len(left), why).Because(cause)
}

// reworkAll puts the roles of persons right and reports whether all are.
func (s *Service) reworkAll(ctx context.Context, c scim.Caller, group string, people []string) bool {
	var failed atomic.Bool
	var g errgroup.Group
	g.SetLimit(roleLanes)
	for _, id := range people {
		g.Go(func() error {
			if err := s.rework(ctx, c, group, id); err != nil {
				failed.Store(true)
				s.log.InfoContext(ctx, "a role is given later", "tenant", c.Tenant, "person", id, "request_id", c.RequestID, "err", err)
			}
			return nil
		})
	}
	_ = g.Wait()
	return !failed.Load()
}

// rework puts one person's roles right upstream and ends the work that said
// so. Where the person must not be touched, or is gone, there is nothing to do;
// what is refused for another reason is not given, but has to be taken away.
func (s *Service) rework(ctx context.Context, c scim.Caller, group, person string) error {
	_, err := s.change(ctx, c, change{
		id: person, action: "user.roles", roles: true, silent: true, group: groupID(group),
		next: func(view *scim.User) (*scim.User, error) { return view, nil },
	})
	e, refused := errors.AsType[*scim.Error](err)
	switch {
	case !refused:
		return err
	case e.Status == http.StatusForbidden:
		s.RecordFailure(ctx, c, "user.roles", person, e.Status, e.Detail)
	case e.Status != http.StatusNotFound:
		return err
	}
	return s.endWork(ctx, c.Tenant, person)
}

// endWork ends all of a person's role work that there is now.
func (s *Service) endWork(ctx context.Context, tenant, person string) error {
	ctx, cancel := commitContext(ctx)
	defer cancel()
	return s.store.Update(ctx, func(tx store.Tx) error {
		work, err := tx.RoleWork(ctx, tenant, store.RoleWorkQuery{PersonIDs: []string{person}})
		if err != nil || len(work) == 0 {
			return err
		}
		return tx.EndRoleWork(tenant, person, work[len(work)-1].Seq)
	})
}
