package play

import (
	"context"
	"fmt"
	"slices"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// push pushes a group: it is looked up, made where it is not there, and then
// its members are put into it.
func (s *session) push(ctx context.Context, g group) error {
	got, err := s.send(ctx, s.client.FindGroup(g.Name))
	if err != nil {
		return err
	}
	id, err := found(got)
	if err != nil {
		return err
	}
	if id != "" {
		s.print.detail("→", g.Name+" was pushed in an earlier run on this data: nothing to create")
	} else if id, err = s.createGroup(ctx, g); err != nil || id == "" {
		return err
	}
	s.groupIDs[g.Name] = id
	all := s.membersOf(g, "")
	if len(all) == 0 {
		return nil
	}
	requests, err := s.client.AddMembers(id, g.Group, all, all)
	if err != nil {
		return err
	}
	if ok, err := s.sendAll(ctx, requests); err != nil || !ok {
		return err
	}
	for _, m := range all {
		s.memberOf[m.Mail] = g.Name
	}
	return nil
}

// membersOf are the members of a group in the client's directory without the
// one with the address: whoever could not be created is none.
func (s *session) membersOf(g group, without string) []idp.Member {
	var all []idp.Member
	for _, mail := range g.members {
		if user := s.ids[mail]; user != "" && mail != without {
			all = append(all, idp.Member{ID: user, Mail: mail})
		}
	}
	return all
}

// createGroup returns the group's id, "" where the bridge refused to make it.
func (s *session) createGroup(ctx context.Context, g group) (string, error) {
	r, err := s.client.CreateGroup(g.Group)
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
func (s *session) move(ctx context.Context, p idp.Person, from, to group) error {
	m := idp.Member{ID: s.ids[p.Mail], Mail: p.Mail}
	if m.ID == "" || s.groupIDs[from.Name] == "" || s.groupIDs[to.Name] == "" {
		return nil // it was shown why
	}
	one := []idp.Member{m}
	out, err := s.client.RemoveMembers(s.groupIDs[from.Name], from.Group, one, s.membersOf(from, p.Mail))
	if err != nil {
		return err
	}
	in, err := s.client.AddMembers(s.groupIDs[to.Name], to.Group, one, append(s.membersOf(to, ""), m))
	if err != nil {
		return err
	}
	ok, err := s.sendAll(ctx, slices.Concat(out, in))
	if ok {
		s.memberOf[p.Mail] = to.Name
	}
	return err
}

// sendAll sends requests one after the other and reports whether none was
// refused.
func (s *session) sendAll(ctx context.Context, requests []idp.Request) (ok bool, err error) {
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
		s.print.scene("the group %s is pushed: %d %s", g.Name, len(g.members), plural(len(g.members), "member", "members"))
		if err := s.push(ctx, g); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// promotion moves a person from the group of one role to that of another.
func (s *session) promotion(ctx context.Context, p idp.Person) error {
	all := groups()
	from := slices.IndexFunc(all, func(g group) bool { return slices.Contains(g.members, p.Mail) })
	to := slices.IndexFunc(all, func(g group) bool { return g.Name == "Managers" })
	if from < 0 || to < 0 {
		return fmt.Errorf("%s cannot be moved from a group to Managers: one of the groups is not there", p.Mail)
	}
	s.print.scene("%s is promoted: from %s to %s", p.Given, all[from].Name, all[to].Name)
	return s.move(ctx, p, all[from], all[to])
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
