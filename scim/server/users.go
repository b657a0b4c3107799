package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/sharearefund/scim-bridge/scim"
)

// createUser is POST /Users (RFC 7644 §3.3).
func (s *server) createUser(x *exchange) (workFunc, error) {
	u, proj, err := s.readUser(x)
	if err != nil {
		return nil, err
	}
	caller := x.caller
	return func(ctx context.Context) (answer, error) {
		created, err := s.Users.CreateUser(ctx, caller, u)
		if err != nil {
			return answer{}, err
		}
		a, err := s.userAnswer(http.StatusCreated, created, proj)
		if err == nil {
			a.location, a.created = created.Meta.Location, created.ID
		}
		return a, err
	}, nil
}

// getUser is GET /Users/{id} (RFC 7644 §3.4.1), conditional by If-None-Match
// (§3.14).
func (s *server) getUser(x *exchange) (workFunc, error) {
	proj, err := projection(s.UserCodec, &x.query)
	if err != nil {
		return nil, err
	}
	known, err := entityTags(x.r.Header, "If-None-Match")
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		u, err := s.Users.GetUser(ctx, caller, id)
		if err != nil {
			return answer{}, err
		}
		if u != nil && len(known) > 0 {
			if err := (scim.Preconditions{IfNoneMatch: known}).Check(u.Meta.Version); err != nil {
				return answer{status: http.StatusNotModified, etag: u.Meta.Version}, nil
			}
		}
		return s.userAnswer(http.StatusOK, u, proj)
	}, nil
}

// listUsers is GET /Users (RFC 7644 §3.4.2).
func (s *server) listUsers(x *exchange) (workFunc, error) {
	q, err := s.list(x, s.UserCodec)
	if err != nil {
		return nil, err
	}
	caller, head := x.caller, s.pagerOf(x, q)
	return func(ctx context.Context) (answer, error) {
		page, err := s.Users.ListUsers(ctx, caller, q)
		if err != nil {
			return answer{}, err
		}
		return s.listAnswer(page, q, head)
	}, nil
}

// replaceUser is PUT /Users/{id} (RFC 7644 §3.5.1).
func (s *server) replaceUser(x *exchange) (workFunc, error) {
	u, proj, err := s.readUser(x)
	if err != nil {
		return nil, err
	}
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		replaced, err := s.Users.ReplaceUser(ctx, caller, id, u, pre)
		if err != nil {
			return answer{}, err
		}
		return s.userAnswer(http.StatusOK, replaced, proj)
	}, nil
}

// patchUser is PATCH /Users/{id} (RFC 7644 §3.5.2). The answer is always the
// whole user: Microsoft's SCIM validator wants it, and Okta reads it.
func (s *server) patchUser(x *exchange) (workFunc, error) {
	proj, err := projection(s.UserCodec, &x.query)
	if err != nil {
		return nil, err
	}
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(x, s.MaxBody)
	if err != nil {
		return nil, err
	}
	if err := s.setDialect(x, body); err != nil {
		return nil, err
	}
	p, err := s.UserCodec.DecodePatch(body, x.caller.Dialect)
	if err != nil {
		return nil, err
	}
	x.notes = append(x.notes, p.Skipped...)
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		patched, err := s.Users.PatchUser(ctx, caller, id, p, pre)
		if err != nil {
			return answer{}, err
		}
		return s.userAnswer(http.StatusOK, patched, proj)
	}, nil
}

// deleteUser is DELETE /Users/{id} (RFC 7644 §3.6).
func (s *server) deleteUser(x *exchange) (workFunc, error) {
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		if err := s.Users.DeleteUser(ctx, caller, id, pre); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, nil
	}, nil
}

// readUser reads a User from the body of a POST or PUT.
func (s *server) readUser(x *exchange) (*scim.User, scim.Projection, error) {
	proj, err := projection(s.UserCodec, &x.query)
	if err != nil {
		return nil, proj, err
	}
	body, err := s.readBody(x, s.MaxBody)
	if err != nil {
		return nil, proj, err
	}
	u, notes, err := s.UserCodec.Decode(body, x.caller.Dialect)
	x.notes = append(x.notes, notes...)
	if u != nil {
		x.name = u.UserName
	}
	return u, proj, err
}

// userAnswer is an answer that shows u.
func (s *server) userAnswer(status int, u *scim.User, proj scim.Projection) (answer, error) {
	if err := s.locateUser(u); err != nil {
		return answer{}, err
	}
	b := s.buffers.get()
	*b = s.UserCodec.Append(*b, u, proj)
	return answer{status: status, etag: u.Meta.Version, body: *b, pooled: b}, nil
}

// listAnswer is a ListResponse (RFC 7644 §3.4.2).
func (s *server) listAnswer(page *scim.Page[scim.User], q scim.Query, head pager) (answer, error) {
	if err := s.checkUsers(page, q); err != nil {
		return answer{}, err
	}
	b := s.buffers.get()
	out := head.appendHead(*b, page.Total, len(page.Resources)+len(page.Rendered), following(page.Next))
	for i, text := range page.Rendered {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, text...)
	}
	for i, u := range page.Resources {
		if i > 0 {
			out = append(out, ',')
		}
		out = s.UserCodec.Append(out, u, q.Projection)
	}
	*b = append(out, `]}`...)
	return answer{status: http.StatusOK, body: *b, pooled: b}, nil
}

// checkUsers completes the users of a page, and reports one that no handler is to
// return.
func (s *server) checkUsers(page *scim.Page[scim.User], q scim.Query) error {
	switch {
	case page == nil:
		return errors.New("the handler returned no page")
	case len(page.Rendered) > 0 && (len(page.Resources) > 0 || !q.Projection.Default()):
		return errors.New("the handler rendered a page that it was not asked to render")
	}
	for _, u := range page.Resources {
		if err := s.locateUser(u); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) locateUser(u *scim.User) error {
	if u == nil {
		return errors.New("the handler returned no user")
	}
	return s.locate("User", "/Users", u.ID, &u.Meta)
}
