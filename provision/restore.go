package provision

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// restore restores what the client said of persons, several at a time.
func (k *reconciling) restore(ctx context.Context, found []*comparison) error {
	lost := make([]bool, len(found))
	g, lane := errgroup.WithContext(ctx)
	g.SetLimit(roleLanes)
	for i, c := range found {
		if !c.restorable() {
			continue
		}
		g.Go(func() error {
			err := k.restoreOne(lane, c)
			if err == nil || lane.Err() != nil {
				return err
			}
			switch upstream.KindOf(err) {
			case upstream.Unauthorized:
				return err
			case upstream.Unavailable, upstream.RateLimited:
				lost[i] = true
			}
			if _, ok := isConfig(err); ok {
				return err
			}
			for i := range c.all {
				c.all[i].Failure = refusal(err).Detail
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, l := range lost {
		if l {
			k.unanswered++
		}
	}
	if k.unanswered > maxUnconfirmed {
		return errUnanswered
	}
	return nil
}

// errUnanswered ends an attempt: upstream does not answer for anybody.
var errUnanswered = errors.New("upstream does not answer")

// restoreOne lets a person be what the client said last, and compares again.
func (k *reconciling) restoreOne(ctx context.Context, c *comparison) error {
	s, tenant, id := k.s, k.w.slug, c.r.row.ID
	if !c.r.row.Listed {
		if err := s.revive(ctx, k.w, id); err != nil {
			return err
		}
	}
	_, err := s.change(ctx, scim.Caller{Tenant: tenant, Credential: "job:" + jobReconcile}, change{
		id: id, action: "user.reconcile", restoring: true,
		next: func(view *scim.User) (*scim.User, error) { return s.saidLast(ctx, tenant, id, view) },
	})
	if err != nil {
		return err
	}
	p, err := s.store.Person(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile: nothing is due any more
	}
	if err != nil {
		return err
	}
	left, err := k.compare(ctx, []*store.Person{p})
	if err != nil {
		return err
	}
	var still []Difference
	for _, l := range left {
		still = l.all
	}
	for i, d := range c.all {
		at := slices.IndexFunc(still, d.same)
		if at < 0 {
			c.all[i].Restored = true
			continue
		}
		c.all[i] = still[at]
		still = slices.Delete(still, at, at+1)
	}
	c.all = append(c.all, still...)
	return nil
}

// saidLast is the User as the client said it last: the person is leased, so
// that nobody says anything else meanwhile.
func (s *Service) saidLast(ctx context.Context, tenant, id string, view *scim.User) (*scim.User, error) {
	p, err := s.store.Person(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	said, err := (&record{row: p}).desired(s.codec)
	if said == nil || err != nil {
		return view, err
	}
	if said.Active == nil {
		active := true
		said.Active = &active
	}
	said.ID, said.Meta, said.Groups, said.Schemas = view.ID, view.Meta, view.Groups, view.Schemas
	return said, nil
}

// revive lets a person whom upstream has lost wait to be invited anew. Where
// upstream has it after all, it is as it is there.
func (s *Service) revive(ctx context.Context, w *workspace, id string) error {
	cl, err := s.newClaim(ctx, w.slug, personKey(id))
	if err != nil {
		return err
	}
	defer cl.release()
	var p *store.Person
	err = cl.update(ctx, []string{personKey(id)}, func(tx store.Tx) error {
		p, err = tx.Person(ctx, w.slug, id)
		return err
	})
	if err != nil {
		return err
	}
	r, err := readRecord(p)
	if err != nil {
		return err
	}
	switch acc, err := s.observe(ctx, w, r, nil); {
	case err == nil:
		s.remember(ctx, r, acc)
		return nil
	case !errors.Is(err, errGone):
		return err
	}
	before := *p
	p.UserID, p.InviteIDs = 0, nil
	if err := r.see(mapping.Account{}, s.now()); err != nil {
		return err
	}
	err = s.store.Update(ctx, func(tx store.Tx) error {
		if err := cl.verify(tx); err != nil {
			return err
		}
		return tx.SeePerson(p)
	})
	if err == nil {
		s.remap(ctx, &before, p)
	}
	return err
}
