package simulate

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// atOnce is how many people and groups are worked on at the same time.
const atOnce = 8

// together plays f for each of n things, several at once. f returns false for
// what the client leaves to its next cycle: that is played once more after all
// the others, with more false.
func (s *simulation) together(ctx context.Context, title string, n, workers int, f func(i int, more bool) (done bool)) {
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	for _, more := range []bool{true, false} {
		var mu sync.Mutex
		var later []int
		var wg sync.WaitGroup
		places := make(chan struct{}, workers)
		for _, i := range todo {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			wg.Go(func() {
				defer func() { <-places }()
				if f(i, more) {
					s.tick(title, 1)
					return
				}
				mu.Lock()
				later = append(later, i)
				mu.Unlock()
			})
		}
		wg.Wait()
		if todo = later; len(todo) == 0 || ctx.Err() != nil || !more {
			return
		}
		played := s.cycle
		s.cycle = 0
		if s.hold(ctx, s.traits.Retry.NextCycle, played) != nil {
			return
		}
	}
}

// create looks everybody up and creates them.
func (s *simulation) create(ctx context.Context) error {
	s.together(ctx, s.current.Title, s.Users, atOnce, func(i int, more bool) bool {
		return s.createPerson(ctx, s.people[i], more)
	})
	if len(s.created()) == 0 && ctx.Err() == nil {
		s.broken = "nobody could be created"
	}
	return ctx.Err()
}

// createPerson reports false when the client's next cycle is to do it.
func (s *simulation) createPerson(ctx context.Context, p *person, more bool) bool {
	found := s.sendIn(ctx, s.client.Find(p.Mail), more)
	if found.later {
		return false
	}
	if l := s.list(found); l != nil {
		if id := l.named("userName", p.Mail); id != "" && p.tried && s.owns(ctx, s.userAt(id), "userName", p.Mail) {
			p.id = id // the create in the cycle before was done, its answer was not
			return true
		}
		s.nobody(l)
	}
	r, err := s.client.Create(p.Person)
	if err != nil {
		s.expect(isCreated, false, found, "%s", err)
		return true
	}
	p.tried = true
	a := s.sendIn(ctx, r, more)
	if a.later {
		return false
	}
	s.made(ctx, a, p)
	return true
}

// made reads the answer to a create and keeps the id, when it is this person's.
func (s *simulation) made(ctx context.Context, a *answer, p *person) {
	if a.problem != "" {
		return
	}
	created := a.status == http.StatusCreated || s.Client == idp.Entra && a.status == http.StatusOK
	if !s.expect(isCreated, created && a.object != nil, a, "%s, with a body of %d bytes", a.says(), len(a.body)) && !a.success() {
		return
	}
	name := textOf(a.object["userName"])
	if name != "" && !strings.EqualFold(name, p.Mail) {
		s.expect(isEcho, false, a, "another person, whom the run leaves alone")
		return
	}
	if id := s.claim("User", a); id != "" && s.owns(ctx, s.userAt(id), "userName", p.Mail) {
		p.id = id
	}
	s.expect(isLocation, a.header.Get("Location") != "" || a.status != http.StatusCreated, a, "no Location")
	s.isUser(a)
	differs := s.differences(a.object, p.Person, true)
	s.expect(isEcho, len(differs) == 0, a, "%s", strings.Join(differs, "; "))
}

// owns reads a resource by the id that the server gave for it: only what has
// the run's name is ever written to. No client looks so; it is the simulation's
// own care for people who were there before.
func (s *simulation) owns(ctx context.Context, path, attribute, name string) bool {
	a := s.send(ctx, idp.Request{Method: http.MethodGet, Path: path})
	if a.problem != "" || !s.expect(isRead, a.status == http.StatusOK, a, "right after the create: %s", a.says()) {
		return false
	}
	return s.expect(isID, strings.EqualFold(textOf(a.object[attribute]), name), a, "the id leads to another one, whom the run leaves alone")
}

// adopt adds a second user that the server made of a person, to be removed.
func (s *simulation) adopt(ctx context.Context, p *person, id string) {
	if id != p.id && s.usable(id) && s.owns(ctx, s.userAt(id), "userName", p.Mail) {
		s.people = append(s.people, &person{Person: p.Person, id: id, tried: true})
	}
}

// isUser records what is expected of every user that is read.
func (s *simulation) isUser(a *answer) {
	meta, _ := a.object["meta"].(map[string]any)
	_, hasSchemas := a.object["schemas"].([]any)
	s.expect(isResource, hasSchemas && strings.EqualFold(textOf(meta["resourceType"]), "User"), a,
		"schemas %s, meta.resourceType %s", shape(a.object["schemas"]), shape(meta["resourceType"]))
	_, has := a.object["password"]
	s.expect(isSecret, !has, a, "a password")
}

// differences says where a user is not as the client sent it. Names are shown
// when the user is one of the run's.
func (s *simulation) differences(user map[string]any, p idp.Person, active bool) []string {
	name, _ := user["name"].(map[string]any)
	var out []string
	for _, d := range []struct {
		what string
		got  any
		want string
	}{
		{"userName", user["userName"], p.Mail},
		{"name.givenName", name["givenName"], p.Given},
		{"name.familyName", name["familyName"], p.Family},
	} {
		if textOf(d.got) == d.want {
			continue
		}
		is := kind(d.got)
		if s.ours(textOf(user["userName"])) {
			is = shape(d.got)
		}
		out = append(out, fmt.Sprintf("%s is %s, sent was %q", d.what, is, d.want))
	}
	if user["active"] != active {
		out = append(out, fmt.Sprintf("active is %s, sent was %t", shape(user["active"]), active))
	}
	emails, _ := user["emails"].([]any)
	found := false
	for _, e := range emails {
		email, _ := e.(map[string]any)
		found = found || textOf(email["value"]) == p.Mail
	}
	if !found {
		out = append(out, fmt.Sprintf("emails are %s, sent was %q", kind(user["emails"]), p.Mail))
	}
	return out
}

// userAt and groupAt are the addresses of resources.
func (s *simulation) userAt(id string) string  { return s.client.At("/Users/" + url.PathEscape(id)) }
func (s *simulation) groupAt(id string) string { return s.client.At("/Groups/" + url.PathEscape(id)) }

// look reads a person by the id. nil: that failed, which is recorded under e.
func (s *simulation) look(ctx context.Context, e *expectation, p *person) *answer {
	a := s.send(ctx, idp.Request{Method: http.MethodGet, Path: s.userAt(p.id)})
	if a.problem != "" {
		return nil
	}
	if !s.expect(e, a.status == http.StatusOK && textOf(a.object["id"]) == p.id, a, "%s, id %s", a.says(), shape(a.object["id"])) {
		return nil
	}
	s.isUser(a)
	return a
}

// change sends what request makes of a person, who is read before where the
// client reads. It reports whether the change was accepted.
func (s *simulation) change(ctx context.Context, p *person, reads bool, request func(current []byte) (idp.Request, error)) (bool, error) {
	var current []byte
	if reads {
		a := s.look(ctx, isRead, p)
		if a == nil {
			return false, nil
		}
		current = a.body
	}
	r, err := request(current)
	if err != nil {
		return false, err
	}
	a := s.send(ctx, r)
	if a.problem != "" {
		return false, nil
	}
	return s.expect(isUpdated, a.status == http.StatusOK || a.status == http.StatusNoContent, a, "%s", a.says()), nil
}

// find reads people as the client finds them again.
func (s *simulation) find(ctx context.Context) error {
	for _, p := range s.created()[:min(5, len(s.created()))] {
		if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
			s.expect(isFound, l.only(p.id), l.answer, "%s", l.size())
		}
		if l := s.list(s.send(ctx, s.client.Find(strings.ToUpper(p.Mail)))); l != nil {
			s.expect(isFoundInAnyCase, l.only(p.id), l.answer, "%s", l.size())
		}
		if a := s.look(ctx, isRead, p); a != nil {
			differs := s.differences(a.object, p.Person, true)
			s.expect(isEcho, len(differs) == 0, a, "%s", strings.Join(differs, "; "))
		}
	}
	if more, ok := s.client.(finder); ok {
		p := s.created()[0]
		for _, r := range more.FindOtherwise(p.Person) {
			if l := s.list(s.send(ctx, r)); l != nil {
				s.expect(isFound, l.only(p.id), l.answer, "%s", l.size())
			}
		}
	}
	return ctx.Err()
}

// finder is a client that looks people up by other attributes, too.
type finder interface {
	FindOtherwise(p idp.Person) []idp.Request
}

// duplicate sends a create again, as after an answer that was lost.
func (s *simulation) duplicate(ctx context.Context) error {
	p := s.created()[0]
	r, err := s.client.Create(p.Person)
	if err != nil {
		return err
	}
	a := s.send(ctx, r)
	if a.problem != "" {
		return ctx.Err()
	}
	if s.expect(isConflict, a.status == http.StatusConflict, a, "%s", a.says()) {
		s.expect(isUniqueness, textOf(a.object["scimType"]) == "uniqueness", a, "scimType %s", shape(a.object["scimType"]))
	} else if id := textOf(a.object["id"]); a.success() && id != "" {
		s.adopt(ctx, p, id)
	}
	if l := s.list(s.send(ctx, s.client.Find(p.Mail))); l != nil {
		s.expect(isFound, l.only(p.id), l.answer, "%s", l.size())
	}
	return ctx.Err()
}

func (s *simulation) importPeople(ctx context.Context) error {
	var ours []string
	for _, p := range s.created() {
		ours = append(ours, p.id)
	}
	return s.paging(ctx, "/Users", ours)
}
