package provision

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// groupEdit is what a request makes of a group.
type groupEdit struct {
	action string
	status int
	pre    scim.Preconditions
	// name and externalID are nil where they stay.
	name, externalID *string
	members          []scim.MemberChange
	skipped          []scim.Note
	// create and remove say that the group is to begin or to end.
	create, remove bool
}

// CreateGroup is POST. Roles that follow from the group may trail the answer.
func (s *Service) CreateGroup(ctx context.Context, c scim.Caller, g *scim.Group, members bool) (*scim.GroupView, error) {
	e := groupEdit{action: "group.create", status: 201, name: &g.DisplayName, externalID: &g.ExternalID, create: true}
	if len(g.Members) > 0 {
		e.members = []scim.MemberChange{{Op: scim.MemberAdd, Values: values(g.Members)}}
	}
	return s.groupAnswer(ctx, c, uuid.NewString(), e, members)
}

// ReplaceGroup is PUT. Members that the body leaves out stay; so does an
// externalId.
func (s *Service) ReplaceGroup(ctx context.Context, c scim.Caller, id string, g *scim.Group, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	e := groupEdit{action: "group.replace", status: 200, pre: pre, name: &g.DisplayName}
	if g.ExternalID != "" {
		e.externalID = &g.ExternalID
	}
	if g.Members != nil {
		e.members = []scim.MemberChange{{Op: scim.MemberReplace, Values: values(g.Members)}}
	}
	return s.groupAnswer(ctx, c, id, e, members)
}

// PatchGroup is PATCH. It is answered when nobody has any more what it takes
// away; what it gives may trail.
func (s *Service) PatchGroup(ctx context.Context, c scim.Caller, id string, p *scim.GroupPatch, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	status := 204
	if members {
		status = 200 // the client is shown what came of it
	}
	return s.groupAnswer(ctx, c, id, groupEdit{
		action: "group.patch", status: status, pre: pre, name: p.DisplayName, externalID: p.ExternalID, members: p.Members, skipped: p.Skipped,
	}, members)
}

// DeleteGroup is DELETE: the members lose what the group gave them first.
func (s *Service) DeleteGroup(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	_, err := s.groupAnswer(ctx, c, id, groupEdit{action: "group.delete", status: 204, pre: pre, remove: true}, false)
	return err
}

func values(members []scim.Member) []string {
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].Value
	}
	return ids
}

func (s *Service) groupAnswer(ctx context.Context, c scim.Caller, id string, e groupEdit, members bool) (*scim.GroupView, error) {
	work, cancel := context.WithTimeout(ctx, s.opts.Work)
	defer cancel()
	g, err := s.changeGroup(work, c, id, e)
	if err != nil {
		return nil, refusal(err)
	}
	if e.remove {
		return nil, nil
	}
	return s.groupView(ctx, g, members), nil
}

// regrouping is a change of a group under way.
type regrouping struct {
	groupEdit
	s   *Service
	c   scim.Caller
	w   *workspace
	pol *mapping.Policy
	id  string
	// known are the persons that the request names as members, by the id that
	// it uses.
	known map[string]string
	// losses and invites are the guards that the change has to pass.
	losses, invites allowance

	// What one run of the transaction found out:
	g *store.Group
	// was and is are the group before and after, as rules see it.
	was, is mapping.Group
	// gone says that the group was deleted by an attempt that was not answered.
	gone           bool
	added, removed []string
	work           []store.RoleWork
	// losers lose a role or access, guests are let in anew.
	losers, guests []string
}

// changeGroup commits what the request makes of the group, and then sees to
// the roles of those whom that concerns.
func (s *Service) changeGroup(ctx context.Context, c scim.Caller, id string, e groupEdit) (*store.Group, error) {
	w, pol, err := s.enter(ctx, c.Tenant)
	if err != nil {
		return nil, entryRefusal(err)
	}
	k := &regrouping{groupEdit: e, s: s, c: c, w: w, pol: pol, id: id}
	if err := k.resolve(ctx); err != nil {
		return nil, err
	}
	if pol.Governs() {
		if k.losses, err = s.allowance(ctx, w, GuardRoleLosses); err != nil {
			return nil, err
		}
		if k.invites, err = s.allowance(ctx, w, GuardInvites); err != nil {
			return nil, err
		}
	}
	err = s.store.Update(ctx, func(tx store.Tx) error { return k.apply(ctx, tx) })
	if err != nil {
		return nil, k.refused(ctx, err)
	}
	if err := k.settle(ctx); err != nil {
		return nil, err
	}
	return k.g, nil
}

// refused turns what ended the transaction into the answer.
func (k *regrouping) refused(ctx context.Context, err error) error {
	if t, ok := errors.AsType[*store.ConflictError](err); ok && t.Field == "displayName" {
		return scim.Conflict("a group with displayName %q exists already, with id %s: find it with filter=displayName eq %q and update it", *k.name, t.Owner, *k.name)
	}
	return k.s.held(ctx, k.w, err)
}

// resolve finds the persons that the request names. Who is to be removed need
// not exist.
func (k *regrouping) resolve(ctx context.Context) error {
	k.known = map[string]string{}
	var unknown string
	for _, m := range k.members {
		for part := range slices.Chunk(m.Values, chunk) {
			found, err := k.s.store.PersonsByID(ctx, k.c.Tenant, part)
			if err != nil {
				return err
			}
			for _, v := range part {
				if p := found[v]; p != nil {
					k.known[v] = p.ID
				} else if m.Op != scim.MemberRemove && unknown == "" {
					unknown = v
				}
			}
		}
	}
	if unknown != "" {
		return scim.BadRequest(scim.TypeInvalidValue,
			"members: %q is not the id of a user of this tenant: provision the user first and use the id of the answer; groups cannot be members of groups (nested groups are not supported)", unknown)
	}
	return nil
}

// apply is the transaction: nothing of it stays when it returns an error.
func (k *regrouping) apply(ctx context.Context, tx store.Tx) error {
	k.g, k.gone, k.added, k.removed, k.work, k.losers, k.guests = nil, false, nil, nil, nil, nil, nil
	if err := k.lock(ctx, tx); err != nil || k.gone {
		return err
	}
	if err := k.compare(ctx, tx); err != nil {
		return err
	}
	if err := k.judge(ctx, tx); err != nil {
		return err
	}
	if err := k.write(tx); err != nil {
		return err
	}
	if len(k.work) > 0 {
		if err := tx.PutRoleWork(k.work); err != nil {
			return err
		}
	}
	return k.append(tx)
}

// lock reads the group, or makes it, and says what it is to be.
func (k *regrouping) lock(ctx context.Context, tx store.Tx) error {
	now := k.s.now()
	if k.create {
		k.g = &store.Group{Tenant: k.c.Tenant, ID: k.id, CreatedAt: now, ModifiedAt: now}
		k.rename()
		k.is = ruled(k.g)
		return tx.InsertGroup(k.g)
	}
	g, err := tx.LockGroup(k.c.Tenant, k.id)
	if errors.Is(err, store.ErrNotFound) {
		if k.remove {
			if g, err = tx.DeletedGroup(ctx, k.c.Tenant, k.id); err == nil {
				k.g, k.gone = g, true
				return nil
			}
		}
		if errors.Is(err, store.ErrNotFound) {
			return scim.NotFound("Group", k.id)
		}
	}
	if err != nil {
		return err
	}
	if err := k.pre.Check(groupTag(g)); err != nil {
		return err
	}
	k.g, k.was = g, ruled(g)
	k.rename()
	k.is = ruled(g)
	return nil
}

func (k *regrouping) rename() {
	if k.name != nil {
		k.g.DisplayName, k.g.FoldedName = *k.name, scim.Fold(*k.name)
	}
	if k.externalID != nil {
		k.g.ExternalID = *k.externalID
	}
}

// compare finds out who is added and who is removed. The operations make a
// set of what the group was; nobody is added or removed twice.
func (k *regrouping) compare(ctx context.Context, tx store.Tx) error {
	wanted := map[string]bool{} // by person: in or out, as said last
	anew := k.remove            // nobody stays who is not wanted
	for _, m := range k.members {
		switch {
		case m.Op == scim.MemberReplace:
			anew = true
			clear(wanted)
			fallthrough
		case m.Op == scim.MemberAdd:
			for _, v := range m.Values {
				wanted[k.known[v]] = true
			}
		default:
			for _, v := range m.Values {
				if id, ok := k.known[v]; ok {
					wanted[id] = false
				}
			}
			if m.Filter != nil {
				if err := k.unwant(ctx, tx, m.Filter, wanted, anew); err != nil {
					return err
				}
			}
		}
	}
	if anew {
		return k.compareAll(ctx, tx, wanted)
	}
	ids := sortedKeys(wanted)
	in, err := tx.MembersAmong(ctx, k.c.Tenant, k.id, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		switch {
		case wanted[id] && !in[id]:
			k.added = append(k.added, id)
		case !wanted[id] && in[id]:
			k.removed = append(k.removed, id)
		}
	}
	return nil
}

// compareAll compares the whole list of members with who is wanted.
func (k *regrouping) compareAll(ctx context.Context, tx store.Tx, wanted map[string]bool) error {
	for m, err := range membersIn(ctx, tx, k.c.Tenant, k.id) {
		switch {
		case err != nil:
			return err
		case wanted[m.PersonID]:
			delete(wanted, m.PersonID)
		default:
			k.removed = append(k.removed, m.PersonID)
		}
	}
	for _, id := range sortedKeys(wanted) {
		if wanted[id] {
			k.added = append(k.added, id)
		}
	}
	return nil
}

// unwant marks the members that match the filter as not wanted.
func (k *regrouping) unwant(ctx context.Context, tx store.Tx, f *scim.Filter, wanted map[string]bool, anew bool) error {
	matches := func(m store.Member) bool {
		one := memberOf(m)
		one.Ref = k.s.location(m.PersonID)
		return k.s.groupCodec.Match(f, &scim.Group{Members: []scim.Member{one}})
	}
	if !anew {
		for m, err := range membersIn(ctx, tx, k.c.Tenant, k.id) {
			if err != nil {
				return err
			}
			if matches(m) {
				wanted[m.PersonID] = false
			}
		}
	}
	for part := range slices.Chunk(sortedKeys(wanted), chunk) {
		people, err := tx.PersonsByID(ctx, k.c.Tenant, part)
		if err != nil {
			return err
		}
		for id, p := range people {
			if wanted[id] && matches(store.Member{PersonID: id, UserName: p.UserName}) {
				wanted[id] = false
			}
		}
	}
	return nil
}

// write stores the group and its members.
func (k *regrouping) write(tx store.Tx) error {
	switch {
	case k.remove:
		return tx.DeleteGroup(k.g, k.s.now())
	case k.create:
		return tx.AddMembers(k.c.Tenant, k.id, k.added)
	case len(k.added)+len(k.removed) == 0 && k.was == k.is:
		return nil
	}
	k.g.ModifiedAt = k.s.now()
	if err := tx.UpdateGroup(k.g); err != nil {
		return err
	}
	if err := tx.RemoveMembers(k.c.Tenant, k.id, k.removed); err != nil {
		return err
	}
	return tx.AddMembers(k.c.Tenant, k.id, k.added)
}

func (k *regrouping) append(tx store.Tx) error {
	d := eventData{Added: len(k.added), Removed: len(k.removed), Roles: len(k.work)}
	if k.was.DisplayName != k.is.DisplayName && !k.create {
		d.Changes = append(d.Changes, "displayName")
	}
	if k.was.ExternalID != k.is.ExternalID && !k.create {
		d.Changes = append(d.Changes, "externalId")
	}
	for _, n := range k.skipped {
		d.Skipped = append(d.Skipped, n.Path)
	}
	e, err := k.s.event(k.c, k.action, k.id, k.status, d)
	if err != nil {
		return err
	}
	e.ResourceType = "Group"
	return tx.AppendEvent(e)
}
