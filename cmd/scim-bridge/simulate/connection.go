package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// connection is what an administrator's test of the connection does. When it
// fails nothing else is played, as at the client.
func (s *simulation) connection(ctx context.Context) error {
	if u, err := url.Parse(s.BaseURL); err == nil && s.Client == idp.Okta {
		s.expect(isBaseURL, !strings.Contains(u.Host+u.Path, "_"), nil, "%s", s.BaseURL)
	}
	for i, r := range s.client.Test() {
		a := s.send(ctx, r)
		l := s.list(a)
		if l == nil && ctx.Err() == nil && i == 0 {
			s.broken = "the test of the connection failed: " + a.says()
			return nil
		}
		if l != nil && strings.Contains(r.Path, "filter=") {
			s.nobody(l)
		}
	}
	if s.traits.TestCreates {
		return s.trial(ctx)
	}
	return ctx.Err()
}

// trial makes a person and a group and deletes them again.
func (s *simulation) trial(ctx context.Context) error {
	p := &person{Person: s.person(0)}
	s.people = append(s.people, p) // for the clean-up, should anything go wrong
	s.createPerson(ctx, p, false)
	if p.id != "" {
		s.look(ctx, isRead, p)
		err := s.deletePerson(ctx, p)
		if _, disabled := errors.AsType[*skip](err); err != nil && !disabled {
			return err
		}
	}
	name := fmt.Sprintf("simulate-%s-group-00", s.Name)
	g := &group{Group: idp.Group{Name: name, Key: name}, members: map[string]bool{}}
	s.groups = append(s.groups, g)
	s.createGroup(ctx, g, false)
	if g.id != "" {
		s.deleteGroup(ctx, g)
	}
	return ctx.Err()
}

// credential sends a token that nobody has.
func (s *simulation) credential(ctx context.Context) error {
	a := s.onceAs(ctx, idp.Request{Method: http.MethodGet, Path: s.client.At("/Users", "startIndex=1", "count=1"), Shown: "/Users with a wrong token"}, "simulate-wrong-token")
	if ctx.Err() != nil || !s.expect(isAnswered, a.problem == "", a, "%s", a.problem) {
		return ctx.Err()
	}
	if s.expect(isRefused, a.status == http.StatusUnauthorized, a, "%s", a.says()) {
		s.expect(isError, isErrorBody(a), a, "%s", errorShape(a))
	}
	return nil
}

// schemas is played by a client that discovers schemas.
func (s *simulation) schemas(ctx context.Context) error {
	if s.Client != idp.Entra {
		return skipf("%s does not read them", s.client.Name())
	}
	a := s.onceAs(ctx, idp.Request{Method: http.MethodGet, Path: s.client.At("/Schemas")}, s.Token)
	if a.status == http.StatusNotFound || a.status == http.StatusNotImplemented {
		return skipf("the server has none: a custom application does without, one of the gallery needs them")
	}
	s.inspect(a, false)
	l := s.list(a)
	if l == nil {
		return ctx.Err()
	}
	has := map[string]bool{}
	for _, r := range l.resources {
		has[textOf(r["id"])] = true
	}
	whole := has["urn:ietf:params:scim:schemas:core:2.0:User"] && has["urn:ietf:params:scim:schemas:core:2.0:Group"]
	s.expect(isSchemas, whole && !hasNull(a.object), a, "%s; User and Group among them: %t; null somewhere: %t",
		plural(len(l.resources), "schema", "schemas"), whole, hasNull(a.object))
	return nil
}

// hasNull reports whether there is a null anywhere in a value that was decoded.
func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		if slices.ContainsFunc(v, hasNull) {
			return true
		}
	case map[string]any:
		for _, x := range v {
			if hasNull(x) {
				return true
			}
		}
	}
	return false
}

// nowhere is an id that nobody has.
const nowhere = "5f0e9b7c-2d41-4a86-9c35-d8e1f0a7b642"

func (s *simulation) unknown(ctx context.Context) error {
	for _, path := range []string{s.userAt(nowhere), s.groupAt(nowhere)} {
		if a := s.send(ctx, idp.Request{Method: http.MethodGet, Path: path}); a.problem == "" {
			s.expect(isGone, a.status == http.StatusNotFound, a, "%s", a.says())
		}
	}
	return ctx.Err()
}

// special is a client with attributes that only it sends in its way.
type special interface {
	SetManager(id, manager string) (idp.Request, error)
	SetMobile(id, number string) (idp.Request, error)
	ChangeNothing(id string) (idp.Request, error)
}

// attributes plays what is special to a client.
func (s *simulation) attributes(ctx context.Context) error {
	client, ok := s.client.(special)
	if !ok {
		return skipf("%s has none of its own", s.client.Name())
	}
	all := s.created()
	if len(all) < 3 {
		return skipf("there are too few people for it")
	}
	p, manager := all[0], all[2]
	for _, c := range []struct {
		e       *expectation
		request func() (idp.Request, error)
		holds   func(user map[string]any) bool
	}{
		{isManager, func() (idp.Request, error) { return client.SetManager(p.id, manager.id) }, func(user map[string]any) bool {
			is, _ := part(user, enterpriseURN, "manager").(map[string]any)
			return textOf(is["value"]) == manager.id
		}},
		{isEntry, func() (idp.Request, error) { return client.SetMobile(p.id, "+1 416 555 0199") }, func(user map[string]any) bool {
			b, err := json.Marshal(user["phoneNumbers"])
			return err == nil && strings.Contains(string(b), "+1 416 555 0199") && strings.Contains(string(b), p.Phone)
		}},
		{isEmptyPatch, func() (idp.Request, error) { return client.ChangeNothing(p.id) }, func(map[string]any) bool { return true }},
	} {
		r, err := c.request()
		if err != nil {
			return err
		}
		a := s.send(ctx, r)
		if a.problem != "" || !s.expect(c.e, a.success(), a, "%s", a.says()) {
			continue
		}
		if user := s.look(ctx, isRead, p); user != nil {
			s.expect(c.e, c.holds(user.object), a, "accepted, and then manager %s, phoneNumbers %s",
				shape(part(user.object, enterpriseURN, "manager")), shape(user.object["phoneNumbers"]))
		}
	}
	return ctx.Err()
}

const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// part is the value at a path of names, nil when there is none.
func part(v any, names ...string) any {
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}
