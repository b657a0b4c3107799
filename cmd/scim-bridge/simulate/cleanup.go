package simulate

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// remove deletes what the client itself deletes: a group that is not pushed any
// more, and, where the client deletes people, one of them.
func (s *simulation) remove(ctx context.Context) error {
	if all := s.pushed(); len(all) > 0 {
		s.deleteGroup(ctx, all[len(all)-1])
	}
	all := s.created()
	if !s.traits.DeletesUsers {
		return skipf("%s never deletes users", s.client.Name())
	}
	return s.deletePerson(ctx, all[len(all)-1])
}

// deletePerson deletes a person, or disables it at a server that deletes
// nobody: no client insists.
func (s *simulation) deletePerson(ctx context.Context, p *person) error {
	a := s.send(ctx, idp.Request{Method: http.MethodDelete, Path: s.userAt(p.id)})
	if a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented {
		if _, err := s.activate(ctx, p, false); err != nil {
			return err
		}
		return skipf("the server deletes no users: DELETE was answered %d, and %s disables them instead", a.status, s.client.Name())
	}
	p.gone = s.deleted(ctx, a)
	return ctx.Err()
}

func (s *simulation) deleteGroup(ctx context.Context, g *group) {
	g.gone = s.deleted(ctx, s.send(ctx, idp.Request{Method: http.MethodDelete, Path: s.groupAt(g.id)}))
}

// deleted takes the answer to a delete, reads the resource, and deletes it
// again. It reports whether the resource is gone.
func (s *simulation) deleted(ctx context.Context, a *answer) bool {
	path := a.request.Path
	if a.problem != "" || !s.expect(isDeleted, a.status == http.StatusNoContent, a, "%s", a.says()) {
		return false
	}
	if a = s.send(ctx, idp.Request{Method: http.MethodGet, Path: path}); a.problem == "" {
		s.expect(isGone, a.status == http.StatusNotFound, a, "after the delete: %s", a.says())
	}
	if a = s.send(ctx, idp.Request{Method: http.MethodDelete, Path: path}); a.problem == "" {
		s.expect(isDeleted, a.status == http.StatusNotFound, a, "the second time: %s", a.says())
	}
	return true
}

// removalTries is how often the clean-up sends a delete that is answered 429 or
// 503.
const removalTries = 5

// noTime is why something is still there that the clean-up did not come to.
const noTime = "there was no time left"

// leftover is something of the run that the clean-up is to remove.
type leftover struct {
	kind, name string
	// id is where the id is, which a look-up may find.
	id     *string
	remove func() string
	// why is why it is still there; "": it is gone.
	why string
}

// leftovers are the people and the groups of the run that are at the server.
func (s *simulation) leftovers(ctx context.Context) (people, groups []leftover) {
	for _, p := range s.people {
		if p.tried && !p.gone {
			people = append(people, leftover{"User", p.Mail, &p.id, func() string { return s.removePerson(ctx, p) }, noTime})
		}
	}
	for _, g := range s.groups {
		if g.tried && !g.gone {
			groups = append(groups, leftover{"Group", g.Name, &g.id, func() string { return s.removeGroup(ctx, g) }, noTime})
		}
	}
	return people, groups
}

// listLeft puts into the report what is still there.
func (s *simulation) listLeft(all []leftover) {
	for _, l := range all {
		if l.why != "" {
			s.report.Left = append(s.report.Left, Left{l.kind, l.name, s.clean(*l.id), s.quote(l.why)})
		}
	}
}

// cleanUp removes what the run created, also when it was interrupted, and lists
// what it could not remove. The end of ctx is the end of its time.
func (s *simulation) cleanUp(ctx context.Context) {
	const title = "what the run created is removed"
	s.begin("clean-up", title)
	began := s.Now()
	people, groups := s.leftovers(ctx)
	if s.Keep {
		for _, all := range [][]leftover{groups, people} {
			for i := range all {
				all[i].why = "kept, as was asked for"
			}
			s.listLeft(all)
		}
		s.end(skipf("it is kept, as was asked for"), 0)
		return
	}
	// People first: a group that nobody is in takes nothing from anybody, which
	// servers may hold back.
	for _, all := range [][]leftover{people, groups} {
		s.together(ctx, title, len(all), atOnce, func(i int, _ bool) bool {
			all[i].why = all[i].remove()
			return true
		})
		s.listLeft(all)
	}
	// What stays is no fault of the server's: clients do not need to delete.
	var err error
	if n := len(s.report.Left); n > 0 {
		reason := fmt.Sprintf("%d of %d are still there", n, len(groups)+len(people))
		if err = skipf("%s", reason); ctx.Err() != nil {
			err = &cut{reason + ": " + noTime}
		}
	}
	s.end(err, s.Now().Sub(began))
	s.tick(title, s.total-s.done)
}

// removeGroup returns why a group is still there; "" when it is gone.
func (s *simulation) removeGroup(ctx context.Context, g *group) string {
	if g.id == "" {
		id, why := s.search(ctx, s.client.FindGroup(g.Name), s.groupAt, "displayName", g.Name)
		if g.id = id; id == "" {
			return why
		}
	}
	return s.removal(ctx, s.groupAt(g.id))
}

// removePerson returns why a person is still there; "" when it is gone. Where a
// server does not delete, the person is disabled at least.
func (s *simulation) removePerson(ctx context.Context, p *person) string {
	if p.id == "" {
		id, why := s.search(ctx, s.client.Find(p.Mail), s.userAt, "userName", p.Mail)
		if p.id = id; id == "" {
			return why
		}
	}
	why := s.removal(ctx, s.userAt(p.id))
	if why == "" || ctx.Err() != nil {
		return why
	}
	var current []byte
	if s.traits.ReadsBeforeStatus {
		current = s.insist(ctx, idp.Request{Method: http.MethodGet, Path: s.userAt(p.id)}).body
	}
	r, err := s.client.SetActive(p.id, current, p.Person, false)
	if err == nil && s.insist(ctx, r).success() {
		return why + "; it is disabled instead"
	}
	return why + "; nor could it be disabled"
}

// search finds what a create may have made whose answer did not come or could
// not be used: by name, and only when that is exactly the run's own. why is ""
// when there is nothing.
func (s *simulation) search(ctx context.Context, r idp.Request, at func(id string) string, attribute, name string) (id, why string) {
	a := s.insist(ctx, r)
	elements, isArray := a.object["Resources"].([]any)
	switch {
	case a.status == http.StatusNotFound || isArray && len(elements) == 0:
		return "", ""
	case a.problem == noTime:
		return "", "whether it was created is not known: " + noTime
	case !a.success() || !isArray:
		return "", "whether it was created is not known: the look-up " + a.says()
	}
	for _, e := range elements {
		if !strings.EqualFold(textOf(part(e, attribute)), name) {
			continue
		}
		if id = textOf(part(e, "id")); s.usable(id) && strings.EqualFold(textOf(s.insist(ctx, idp.Request{Method: http.MethodGet, Path: at(id)}).object[attribute]), name) {
			return id, ""
		}
		return "", "its id cannot be used, or leads to another one"
	}
	return "", ""
}

// removal deletes a resource; "" when it is gone.
func (s *simulation) removal(ctx context.Context, path string) string {
	a := s.insist(ctx, idp.Request{Method: http.MethodDelete, Path: path})
	if a.success() || a.status == http.StatusNotFound || a.status == http.StatusGone {
		return ""
	}
	if a.problem == noTime {
		return noTime
	}
	return "DELETE " + a.says()
}

// insist sends a request until it is answered otherwise than 429 or 503. It gives
// up on what asks to wait for longer than there is time. A refusal that came is
// what it returns when the time ends; without one the problem is noTime.
func (s *simulation) insist(ctx context.Context, r idp.Request) *answer {
	var refusal *answer
	for try := 1; ; try++ {
		a := s.once(ctx, r)
		if a.problem != "" && ctx.Err() != nil {
			if refusal != nil {
				return refusal
			}
			a.problem = noTime
			return a
		}
		busy := a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
		if !busy || try == removalTries {
			return a
		}
		refusal = a
		wanted, asked := retryAfter(a.header)
		if end, ends := ctx.Deadline(); asked && ends && wanted > time.Until(end) {
			return a
		}
		if !asked {
			wanted = 5 * time.Second
		}
		if s.Wait(ctx, min(wanted, s.MaxWait)) != nil {
			return a
		}
	}
}
