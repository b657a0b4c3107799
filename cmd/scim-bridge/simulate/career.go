package simulate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// update gives the first person another family name.
func (s *simulation) update(ctx context.Context) error {
	p := s.created()[0]
	was := p.Person
	p.Family = "Lindqvist"
	ok, err := s.change(ctx, p, s.traits.ReadsBeforeUpdate, func(current []byte) (idp.Request, error) {
		return s.client.Update(p.id, current, was, p.Person)
	})
	if err != nil || !ok {
		p.Person = was
		return err
	}
	if a := s.look(ctx, isRead, p); a != nil {
		differs := s.differences(a.object, p.Person, true)
		named := func(d string) bool { return strings.HasPrefix(d, "name.") }
		i := slices.IndexFunc(differs, named)
		s.expect(isChanged, i < 0, a, "%s", strings.Join(differs, "; "))
		others := slices.DeleteFunc(differs, named)
		s.expect(isUntouched, len(others) == 0, a, "%s", strings.Join(others, "; "))
	}
	return ctx.Err()
}

// rename gives the second person another user name and address.
func (s *simulation) rename(ctx context.Context) error {
	all := s.created()
	if len(all) < 2 {
		return skipf("there is nobody else to rename")
	}
	p := all[1]
	was := p.Person
	p.Mail = s.mail(fmt.Sprintf("%02d-renamed", slices.Index(s.people, p)+1))
	ok, err := s.change(ctx, p, s.traits.ReadsBeforeUpdate, func(current []byte) (idp.Request, error) {
		return s.client.Update(p.id, current, was, p.Person)
	})
	if err != nil || !ok {
		p.Person = was
		return err
	}
	if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
		s.expect(isRenamed, l.only(p.id), l.answer, "by the new name: %s", l.size())
	}
	if l := s.list(s.send(ctx, s.client.Find(was.Mail))); l != nil {
		s.expect(isRenamed, l.total == 0 && len(l.resources) == 0, l.answer, "by the old name: %s", l.size())
	}
	if a := s.look(ctx, isRead, p); a != nil {
		differs := s.differences(a.object, p.Person, true)
		s.expect(isChanged, len(differs) == 0, a, "%s", strings.Join(differs, "; "))
	}
	return ctx.Err()
}

// leaver is the person who is disabled and comes back: the last one who is in
// the first group, or else the last one.
func (s *simulation) leaver() *person {
	all := s.created()
	for _, p := range slices.Backward(all) {
		if g := s.pushed(); len(g) > 0 && g[0].members[p.id] {
			return p
		}
	}
	return all[len(all)-1]
}

// activate disables or enables a person.
func (s *simulation) activate(ctx context.Context, p *person, active bool) (bool, error) {
	return s.change(ctx, p, s.traits.ReadsBeforeStatus, func(current []byte) (idp.Request, error) {
		return s.client.SetActive(p.id, current, p.Person, active)
	})
}

func (s *simulation) disable(ctx context.Context) error {
	p := s.leaver()
	ok, err := s.activate(ctx, p, false)
	if err != nil || !ok {
		return err
	}
	p.disabled = true
	if a := s.look(ctx, isStillThere, p); a != nil {
		s.expect(isDisabled, a.object["active"] == false, a, "active is %s", shape(a.object["active"]))
	}
	if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
		s.expect(isStillThere, l.only(p.id), l.answer, "%s", l.size())
	}
	return ctx.Err()
}

// restore enables the person again: by then the client looks it up, as when it
// is assigned anew.
func (s *simulation) restore(ctx context.Context) error {
	p := s.leaver()
	if !p.disabled {
		return skipf("nobody could be disabled")
	}
	if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
		s.expect(isStillThere, l.only(p.id), l.answer, "%s", l.size())
	}
	ok, err := s.activate(ctx, p, true)
	if err != nil || !ok {
		return err
	}
	if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
		s.expect(isRestored, l.only(p.id), l.answer, "by the filter: %s", l.size())
		if id := l.named("userName", p.Mail); id != "" {
			s.adopt(ctx, p, id)
		}
	}
	if a := s.look(ctx, isRestored, p); a != nil {
		differs := s.differences(a.object, p.Person, true)
		s.expect(isRestored, len(differs) == 0, a, "%s", strings.Join(differs, "; "))
	}
	for _, g := range s.pushed() {
		if g.members[p.id] {
			s.compare(ctx, isRemembered, g)
		}
	}
	return ctx.Err()
}
