package simulate

import (
	"context"
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// createGroups looks the groups up and makes them, empty.
func (s *simulation) createGroups(ctx context.Context) error {
	s.together(ctx, s.current.Title, s.Groups, atOnce, func(i int, more bool) bool {
		return s.createGroup(ctx, s.groups[i], more)
	})
	return ctx.Err()
}

// createGroup reports false when the client's next cycle is to do it.
func (s *simulation) createGroup(ctx context.Context, g *group, more bool) bool {
	found := s.sendIn(ctx, s.client.FindGroup(g.Name), more)
	if found.later {
		return false
	}
	if l := s.list(found); l != nil {
		if id := l.named("displayName", g.Name); id != "" && g.tried && s.owns(ctx, s.groupAt(id), "displayName", g.Name) {
			g.id = id // the create in the cycle before was done, its answer was not
			return true
		}
		s.nobody(l)
	}
	r, err := s.client.CreateGroup(g.Group)
	if err != nil {
		s.expect(isCreated, false, found, "%s", err)
		return true
	}
	g.tried = true
	a := s.sendIn(ctx, r, more)
	if a.later {
		return false
	}
	if a.problem != "" || !s.expect(isCreated, a.status == http.StatusCreated && a.object != nil, a, "%s", a.says()) {
		return true
	}
	if name := textOf(a.object["displayName"]); name != "" && !strings.EqualFold(name, g.Name) {
		s.expect(isGroupFound, false, a, "another group, which the run leaves alone")
		return true
	}
	if id := s.claim("Group", a); id != "" && s.owns(ctx, s.groupAt(id), "displayName", g.Name) {
		g.id = id
		s.findGroup(ctx, g)
	}
	return true
}

// findGroup finds a group by its name.
func (s *simulation) findGroup(ctx context.Context, g *group) {
	r := s.client.FindGroup(g.Name)
	l := s.list(s.send(ctx, r))
	if l == nil {
		return
	}
	s.expect(isGroupFound, l.only(g.id), l.answer, "%s", l.size())
	if !strings.Contains(r.Path, "excludedAttributes=members") {
		return
	}
	for _, resource := range l.resources {
		_, has := resource["members"]
		s.expect(isWithoutMembers, !has, l.answer, "members %s", shape(resource["members"]))
	}
}

// regroup sends the requests of a change of members. It reports whether all
// were accepted, which e is about.
func (s *simulation) regroup(ctx context.Context, e *expectation, requests []idp.Request, err error) (bool, error) {
	ok := true
	for _, r := range requests {
		a := s.send(ctx, r)
		if a.problem != "" {
			return false, ctx.Err()
		}
		ok = s.expect(e, a.success(), a, "%s", a.says()) && ok
	}
	return ok, err
}

// inGroup are the people who are in a group, in their order.
func (s *simulation) inGroup(g *group) []idp.Member {
	var out []idp.Member
	for _, p := range s.created() {
		if g.members[p.id] {
			out = append(out, p.member())
		}
	}
	return out
}

// add and drop change the members of a group.
func (s *simulation) add(ctx context.Context, e *expectation, g *group, people ...*person) (bool, error) {
	var added []idp.Member
	for _, p := range people {
		g.members[p.id] = true
		added = append(added, p.member())
	}
	requests, err := s.client.AddMembers(g.id, g.Group, added, s.inGroup(g))
	return s.regroup(ctx, e, requests, err)
}

func (s *simulation) drop(ctx context.Context, e *expectation, g *group, p *person) (bool, error) {
	delete(g.members, p.id)
	requests, err := s.client.RemoveMembers(g.id, g.Group, []idp.Member{p.member()}, s.inGroup(g))
	return s.regroup(ctx, e, requests, err)
}

// compare reads a group and records whether it has exactly the members that it
// is to have. It is the simulation's own look: some clients never read them.
func (s *simulation) compare(ctx context.Context, e *expectation, g *group) bool {
	a := s.send(ctx, idp.Request{Method: http.MethodGet, Path: s.groupAt(g.id)})
	if a.problem != "" {
		return false
	}
	if !s.expect(isGroupUpdated, a.status == http.StatusOK, a, "the group cannot be read: %s", a.says()) {
		return false
	}
	got := map[string]int{}
	members, _ := a.object["members"].([]any)
	for _, m := range members {
		got[textOf(part(m, "value"))]++
	}
	missing, twice, strange := 0, 0, len(got)
	for id := range g.members {
		switch got[id] {
		case 0:
			missing++
			continue
		case 1:
		default:
			twice++
		}
		strange--
	}
	return s.expect(e, missing == 0 && twice == 0 && strange == 0, a, "of %s %d are missing and %d are there more than once; %d are there who must not be",
		plural(len(g.members), "member", "members"), missing, twice, strange)
}

// members fills the first group, names it anew, and takes people out.
func (s *simulation) members(ctx context.Context) error {
	groups, people := s.pushed(), s.created()
	if len(groups) == 0 || len(people) < MinUsers {
		return skipf("there is no group, or there are too few people for one")
	}
	g := groups[0]
	in, out := people[:len(people)-1], people[len(people)-1]
	if ok, err := s.add(ctx, isGroupUpdated, g, in...); !ok {
		return err
	}
	s.compare(ctx, isMembers, g)
	if err := s.renameGroup(ctx, g); err != nil {
		return err
	}
	if _, err := s.add(ctx, isAgain, g, in[0]); err != nil {
		return err
	}
	if _, err := s.drop(ctx, isAgain, g, out); err != nil {
		return err
	}
	s.compare(ctx, isAgain, g)
	if err := s.isIn(ctx, g, in[0], true); err != nil {
		return err
	}
	if ok, err := s.drop(ctx, isGroupUpdated, g, in[0]); !ok {
		return err
	}
	s.compare(ctx, isOnlyThat, g)
	return s.isIn(ctx, g, in[0], false)
}

func (s *simulation) renameGroup(ctx context.Context, g *group) error {
	old := g.Name
	g.Name += "-renamed"
	r, err := s.client.RenameGroup(g.id, g.Group, s.inGroup(g))
	if ok, err := s.regroup(ctx, isGroupUpdated, []idp.Request{r}, err); err != nil || !ok {
		g.Name = old
		return err
	}
	s.compare(ctx, isKept, g)
	s.findGroup(ctx, g)
	return ctx.Err()
}

// tester is a client that asks whether a person is in a group.
type tester interface {
	IsMember(group, user string) idp.Request
}

func (s *simulation) isIn(ctx context.Context, g *group, p *person, want bool) error {
	client, ok := s.client.(tester)
	if !ok {
		return nil
	}
	if l := s.list(s.send(ctx, client.IsMember(g.id, p.id))); l != nil {
		is := l.only(g.id)
		s.expect(isMember, is == want && (want || l.total == 0), l.answer, "%s", l.size())
	}
	return ctx.Err()
}

// parallel changes members of the last group by many requests at once: first
// everybody is added, several times where there are more requests than people;
// then every second one is removed while the others are added again.
func (s *simulation) parallel(ctx context.Context) error {
	groups, people := s.pushed(), s.created()
	switch {
	case len(groups) == 0:
		return skipf("there is no group")
	case s.traits.WholeMembers:
		return skipf("%s sends the whole list of members with every change, one after the other", s.client.Name())
	}
	g := groups[len(groups)-1]
	for _, p := range people {
		g.members[p.id] = true
	}
	s.flood(ctx, g, func(int) bool { return false })
	s.compare(ctx, isTogether, g)
	leaves := func(i int) bool { return i%len(people)%2 == 1 }
	for i, p := range people {
		if leaves(i) {
			delete(g.members, p.id)
		}
	}
	s.flood(ctx, g, leaves)
	s.compare(ctx, isTogether, g)
	return ctx.Err()
}

// flood sends a request a member for people in turn: removals where leaves says
// so, else additions.
func (s *simulation) flood(ctx context.Context, g *group, leaves func(i int) bool) {
	people, after := s.created(), s.inGroup(g)
	s.together(ctx, s.current.Title, s.Parallel, s.Parallel, func(i int, more bool) bool {
		one := []idp.Member{people[i%len(people)].member()}
		change := s.client.AddMembers
		if leaves(i) {
			change = s.client.RemoveMembers
		}
		requests, err := change(g.id, g.Group, one, after)
		if err != nil {
			s.expect(isGroupUpdated, false, nil, "%s", err)
			return true
		}
		for _, r := range requests {
			a := s.sendIn(ctx, r, more)
			if a.later {
				return false
			}
			if a.problem == "" {
				s.expect(isGroupUpdated, a.success(), a, "%s", a.says())
			}
		}
		return true
	})
}

func (s *simulation) importGroups(ctx context.Context) error {
	var ours []string
	for _, g := range s.pushed() {
		ours = append(ours, g.id)
	}
	if len(ours) == 0 {
		return skipf("there is no group")
	}
	return s.paging(ctx, "/Groups", ours)
}
