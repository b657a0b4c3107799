package provision

import (
	"context"
	"slices"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// judge finds out whose roles the change concerns, and refuses or holds it as a
// whole: what is refused must not be half done.
func (k *regrouping) judge(ctx context.Context, tx store.Tx) error {
	maps, mapped := !k.remove && k.pol.Maps(k.is), !k.create && k.pol.Maps(k.was)
	if !maps && !mapped {
		return nil
	}
	remapped := !k.create && !k.remove && !k.pol.SameRules(k.was, k.is)
	if err := k.ceiling(ctx, tx, remapped); err != nil {
		return err
	}
	owners := map[string][]int64{} // who is to lose the top role, and where
	weigh := func(ids []string, key string, was, is *mapping.Group) error {
		x := shift{key: key, is: is}
		x.takes, x.gives = k.pol.Shift(was, is)
		for part := range slices.Chunk(ids, chunk) {
			if err := k.weigh(ctx, tx, part, x, owners); err != nil {
				return err
			}
		}
		return nil
	}
	if err := weigh(k.removed, k.id, &k.was, nil); err != nil {
		return err
	}
	if err := weigh(k.added, k.id, nil, &k.is); err != nil {
		return err
	}
	if remapped {
		stay, err := k.staying(ctx, tx)
		if err != nil {
			return err
		}
		if err := weigh(stay, renamed(k.id), &k.was, &k.is); err != nil {
			return err
		}
	}
	if err := k.keepOwners(ctx, tx, owners); err != nil {
		return err
	}
	if err := k.s.pass(tx, k.w, k.losses, k.losers); err != nil {
		return err
	}
	return k.s.pass(tx, k.w, k.invites, k.guests)
}

// staying are the members that the change leaves.
func (k *regrouping) staying(ctx context.Context, tx store.Tx) ([]string, error) {
	gone := map[string]bool{}
	for _, id := range k.removed {
		gone[id] = true
	}
	var stay []string
	for m, err := range membersIn(ctx, tx, k.c.Tenant, k.id) {
		if err != nil {
			return nil, err
		}
		if !gone[m.PersonID] {
			stay = append(stay, m.PersonID)
		}
	}
	return stay, nil
}

// ceiling refuses to bring anybody into a group that a rule maps above what the
// tenant lets a provisioning client grant, by whatever way.
func (k *regrouping) ceiling(ctx context.Context, tx store.Tx, remapped bool) error {
	why := k.pol.AboveCeiling(k.is)
	if why == "" || k.remove {
		return nil
	}
	into := len(k.added) > 0
	if remapped && !into {
		some, err := tx.Members(ctx, k.c.Tenant, k.id, "", 1)
		if err != nil {
			return err
		}
		into = len(some) > 0
	}
	if !into {
		return nil
	}
	return scim.Forbidden("group %q: %s; nobody can be put into it: raise ceiling in tenant.yaml if that is meant, or map the group to a lower role", k.is.DisplayName, why)
}

// shift is what a change of the group is to some of its members.
type shift struct {
	// key is where their role work is kept.
	key string
	// is is the group in which they are from then on; nil: none.
	is *mapping.Group
	// takes and gives are those of mapping.Policy.Shift.
	takes, gives bool
}

// after are the groups of somebody who was in groups.
func (x shift) after(id string, groups []mapping.Group) []mapping.Group {
	next := slices.DeleteFunc(slices.Clone(groups), func(g mapping.Group) bool { return g.ID == id })
	if x.is != nil {
		next = append(next, *x.is)
	}
	return next
}

// weigh judges what the change means for persons. Of whom it seems to mean
// nothing, because of another group or since access is suspended, that is
// looked at again when the change is stored: a request for the person may be
// under way that knows nothing of it.
func (k *regrouping) weigh(ctx context.Context, tx store.Tx, ids []string, x shift, owners map[string][]int64) error {
	people, err := tx.PersonsByID(ctx, k.c.Tenant, ids)
	if err != nil {
		return err
	}
	of, err := tx.GroupsOf(ctx, k.c.Tenant, ids)
	if err != nil {
		return err
	}
	now := k.s.now()
	for _, id := range ids {
		p := people[id]
		if p == nil {
			continue
		}
		r, err := readRecord(p)
		if err != nil {
			return err
		}
		r.groups = groupsOf(of[id])
		u, err := k.said(r)
		if err != nil {
			return err
		}
		is := x.after(k.id, r.groups)
		effect := k.pol.EffectOf(u, r.groups, is)
		if effect.Changes {
			if err := k.mayRegrade(r, effect); err != nil {
				return err
			}
		}
		work := store.RoleWork{Tenant: k.c.Tenant, GroupID: x.key, PersonID: id, Removal: effect.Loses, RunAt: now, CreatedAt: now}
		if waits := p.Managed && u.Active != nil && !*u.Active && !p.Active; waits || !effect.Changes {
			if protected, _ := k.pol.Protects(r.seen); p.Managed && !protected && (x.takes || x.gives) {
				work.Removal = x.takes
				k.work = append(k.work, work)
			}
			continue // roles wait until access comes back
		}
		k.work = append(k.work, work)
		if r.written.Withheld && len(r.seen.AccessIn(k.pol.Organizations)) == 0 {
			k.guests = append(k.guests, id)
		}
		if effect.Loses && p.Managed {
			k.losers = append(k.losers, id+"/"+k.id)
			if err := k.watchOwner(r, u, is, owners); err != nil {
				return err
			}
		}
	}
	return nil
}

// said is what the client said of a person, or what is seen of one whom no
// client manages.
func (k *regrouping) said(r *record) (*scim.User, error) {
	if u, err := r.desired(k.s.codec); u != nil || err != nil {
		return u, err
	}
	return k.s.view(k.pol, r, r.seen)
}

// mayRegrade refuses a change that would touch who must not be touched.
func (k *regrouping) mayRegrade(r *record, effect mapping.Effect) error {
	if protected, why := k.pol.Protects(r.seen); protected {
		return scim.Forbidden("members: %s (user %s), and group %q would change its role: leave it out of the group, or have an operator take it out of guards.protected in tenant.yaml",
			why, r.row.ID, k.shownName())
	}
	if r.row.Managed || effect.Loses {
		return nil
	}
	if ok, why := k.pol.MayAdopt(r.seen); !ok {
		return scim.Forbidden("members: user %s was not provisioned by this bridge, and %s, so group %q cannot give it a role: an operator can hand it over with: scim-bridge person adopt --tenant %s %s",
			r.row.ID, why, k.shownName(), k.c.Tenant, r.row.ID)
	}
	return nil
}

func (k *regrouping) shownName() string {
	if k.remove {
		return k.was.DisplayName
	}
	return k.is.DisplayName
}

// watchOwner notes where a person would lose the role of the greatest weight.
func (k *regrouping) watchOwner(r *record, u *scim.User, is []mapping.Group, owners map[string][]int64) error {
	held := k.ownedBy(r.seen)
	if len(held) == 0 {
		return nil
	}
	want, err := k.pol.DesireOf(u, r.seen, mapping.Past{Written: r.written, Groups: is})
	if err != nil {
		return err
	}
	for _, step := range k.pol.Plan(r.seen, want, mapping.Situation{}).Steps {
		for _, org := range step.Organizations {
			if slices.Contains(held, org) && !slices.Contains(owners[r.row.ID], org) {
				owners[r.row.ID] = append(owners[r.row.ID], org)
			}
		}
	}
	return nil
}

// ownedBy lists the organizations of the tenant in which an account holds the
// role of the greatest weight.
func (k *regrouping) ownedBy(a mapping.Account) []int64 {
	top := slices.MaxFunc(k.pol.Roles, byWeight).Weight
	var in []int64
	for _, m := range a.Memberships {
		i := slices.IndexFunc(k.pol.Roles, func(r mapping.Role) bool { return r.ID == m.RoleID })
		if i >= 0 && k.pol.Roles[i].Weight == top && m.State == mapping.MembershipActive && a.State == upstream.AccountActive &&
			slices.Contains(k.pol.Organizations, m.OrganizationID) {
			in = append(in, m.OrganizationID)
		}
	}
	return in
}

// keepOwners refuses a change after which an organization would have nobody
// with the role of the greatest weight, as far as the directory shows; upstream
// has the last word.
func (k *regrouping) keepOwners(ctx context.Context, tx store.Tx, owners map[string][]int64) error {
	if len(owners) == 0 {
		return nil
	}
	left := map[int64]bool{}
	for after := int64(0); ; {
		rows, err := tx.Persons(ctx, k.c.Tenant, store.Window{After: after, Limit: chunk})
		if err != nil {
			return err
		}
		for _, p := range rows {
			r, err := readRecord(p)
			if err != nil {
				return err
			}
			for _, org := range k.ownedBy(r.seen) {
				left[org] = left[org] || !slices.Contains(owners[p.ID], org)
			}
		}
		if len(rows) < chunk {
			break
		}
		after = rows[len(rows)-1].Seq
	}
	for id, orgs := range owners {
		for _, org := range orgs {
			if !left[org] {
				return scim.Forbidden("members: user %s is the last one with the highest role of organization %d, and group %q would take it away: give somebody else that role first", id, org, k.shownName())
			}
		}
	}
	return nil
}
