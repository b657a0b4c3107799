package play

import (
	"context"
	"fmt"
	"slices"
)

// push pushes a group: it is looked up, made where it is not there, and then
// its members are put into it.
func (s *session) push(ctx context.Context, g group) error {
	got, err := s.send(ctx, s.client.findGroup(g))
	if err != nil {
		return err
	}
	id, err := found(got)
	if err != nil {
		return err
	}
	if id != "" {
		s.print.detail("→", g.name+" was pushed in an earlier run on this data: nothing to create")
	} else if id, err = s.createGroup(ctx, g); err != nil || id == "" {
		return err
	}
	s.groupIDs[g.name] = id
	var all []member
	for _, mail := range g.members {
		if user := s.ids[mail]; user != "" { // whoever could not be created is no member
			all = append(all, member{user, mail})
		}
	}
	if len(all) == 0 {
		return nil
	}
	requests, err := s.client.addMembers(id, g, all)
	if err != nil {
		return err
	}
	if ok, err := s.sendAll(ctx, requests); err != nil || !ok {
		return err
	}
	for _, m := range all {
		s.memberOf[m.mail] = g.name
	}
	return nil
}

// createGroup returns the group's id, "" where the bridge refused to make it.
func (s *session) createGroup(ctx context.Context, g group) (string, error) {
	r, err := s.client.createGroup(g)
	if err != nil {
		return "", err
	}
	got, err := s.send(ctx, r)
	if err != nil {
		return "", err
	}
	return created(got)
}

// move takes a person out of one group and puts it into another.
func (s *session) move(ctx context.Context, p person, from, to group) error {
	m := member{s.ids[p.mail], p.mail}
	if m.id == "" || s.groupIDs[from.name] == "" || s.groupIDs[to.name] == "" {
		return nil // it was shown why
	}
	out, err := s.client.removeMember(s.groupIDs[from.name], from, m)
	if err != nil {
		return err
	}
	in, err := s.client.addMembers(s.groupIDs[to.name], to, []member{m})
	if err != nil {
		return err
	}
	ok, err := s.sendAll(ctx, slices.Concat(out, in))
	if ok {
		s.memberOf[p.mail] = to.name
	}
	return err
}

// sendAll sends requests one after the other and reports whether none was
// refused.
func (s *session) sendAll(ctx context.Context, requests []request) (ok bool, err error) {
	ok = true
	for _, r := range requests {
		got, err := s.send(ctx, r)
		if err != nil {
			return false, err
		}
		ok = ok && got.status < 400
	}
	return ok, nil
}

// pushing is the part of the play in which the groups come.
func (s *session) pushing(ctx context.Context) error {
	for _, g := range groups() {
		s.print.scene("the group %s is pushed: %d %s", g.name, len(g.members), plural(len(g.members), "member", "members"))
		if err := s.push(ctx, g); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// promotion moves a person from the group of one role to that of another.
func (s *session) promotion(ctx context.Context, p person) error {
	all := groups()
	from := slices.IndexFunc(all, func(g group) bool { return slices.Contains(g.members, p.mail) })
	to := slices.IndexFunc(all, func(g group) bool { return g.name == "Managers" })
	if from < 0 || to < 0 {
		return fmt.Errorf("%s cannot be moved from a group to Managers: one of the groups is not there", p.mail)
	}
	s.print.scene("%s is promoted: from %s to %s", p.given, all[from].name, all[to].name)
	return s.move(ctx, p, all[from], all[to])
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
