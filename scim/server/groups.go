package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/sharearefund/scim-bridge/scim"
)

// createGroup is POST /Groups (RFC 7644 §3.3).
func (s *server) createGroup(x *exchange) (workFunc, error) {
	g, proj, err := s.readGroup(x)
	if err != nil {
		return nil, err
	}
	caller := x.caller
	return func(ctx context.Context) (answer, error) {
		created, err := s.Groups.CreateGroup(ctx, caller, g, proj.Shows("members"))
		if err != nil {
			return answer{}, err
		}
		a, err := s.groupAnswer(http.StatusCreated, created, proj)
		if err == nil {
			a.location, a.created = created.Group.Meta.Location, created.Group.ID
		}
		return a, err
	}, nil
}

// getGroup is GET /Groups/{id} (RFC 7644 §3.4.1), conditional by If-None-Match
// (§3.14).
func (s *server) getGroup(x *exchange) (workFunc, error) {
	proj, err := projection(s.GroupCodec, &x.query)
	if err != nil {
		return nil, err
	}
	known, err := entityTags(x.r.Header, "If-None-Match")
	if err != nil {
		return nil, err
	}
	caller, id, members := x.caller, x.id, proj.Shows("members") && x.r.Method != http.MethodHead
	return func(ctx context.Context) (answer, error) {
		v, err := s.Groups.GetGroup(ctx, caller, id, members)
		if err != nil {
			return answer{}, err
		}
		if v != nil && len(known) > 0 {
			if err := (scim.Preconditions{IfNoneMatch: known}).Check(v.Group.Meta.Version); err != nil {
				return answer{status: http.StatusNotModified, etag: v.Group.Meta.Version}, nil
			}
		}
		return s.groupAnswer(http.StatusOK, v, proj)
	}, nil
}

// listGroups is GET /Groups (RFC 7644 §3.4.2).
func (s *server) listGroups(x *exchange) (workFunc, error) {
	q, err := s.list(x, s.GroupCodec)
	if err != nil {
		return nil, err
	}
	caller, head := x.caller, s.pagerOf(x, q)
	return func(ctx context.Context) (answer, error) {
		page, err := s.Groups.ListGroups(ctx, caller, q)
		if err != nil {
			return answer{}, err
		}
		return s.groupList(page, q, head)
	}, nil
}

// replaceGroup is PUT /Groups/{id} (RFC 7644 §3.5.1).
func (s *server) replaceGroup(x *exchange) (workFunc, error) {
	g, proj, err := s.readGroup(x)
	if err != nil {
		return nil, err
	}
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		replaced, err := s.Groups.ReplaceGroup(ctx, caller, id, g, pre, proj.Shows("members"))
		if err != nil {
			return answer{}, err
		}
		return s.groupAnswer(http.StatusOK, replaced, proj)
	}, nil
}

// patchedMembers is how many members the answer to a PATCH shows unasked. A larger
// group is answered without a body: one member that is added must not cost all
// the others.
const patchedMembers = 1000

// patchGroup is PATCH /Groups/{id} (RFC 7644 §3.5.2). The answer is the group, or
// empty where that is what the client is used to: Microsoft advises against
// members in it, and Okta passes over them. Who asks for attributes gets them.
func (s *server) patchGroup(x *exchange) (workFunc, error) {
	proj, err := projection(s.GroupCodec, &x.query)
	if err != nil {
		return nil, err
	}
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(x, s.MaxGroupBody)
	if err != nil {
		return nil, err
	}
	if err := s.setDialect(x, body); err != nil {
		return nil, err
	}
	p, err := s.GroupCodec.DecodePatch(body, x.caller.Dialect)
	if err != nil {
		return nil, err
	}
	x.notes = append(x.notes, p.Skipped...)
	caller, id := x.caller, x.id
	asked := x.query.attributes.value != "" || x.query.excluded.value != ""
	bulk := x.operation > 0 // which shows no resources
	show := asked || caller.Dialect != scim.DialectOkta && caller.Dialect != scim.DialectEntra
	return func(ctx context.Context) (answer, error) {
		v, err := s.Groups.PatchGroup(ctx, caller, id, p, pre, show && proj.Shows("members"))
		if err != nil {
			return answer{}, err
		}
		if err := s.locateGroup(v); err != nil {
			return answer{}, err
		}
		if show && !asked && !bulk {
			if show, err = fewMembers(v); err != nil {
				return answer{}, err
			}
		}
		if !show {
			return answer{status: http.StatusNoContent, etag: v.Group.Meta.Version}, nil
		}
		return s.groupAnswer(http.StatusOK, v, proj)
	}, nil
}

// fewMembers reads the members of v, of which there are to be no more than
// patchedMembers.
func fewMembers(v *scim.GroupView) (bool, error) {
	if v.Members == nil {
		return true, nil
	}
	var list []scim.Member
	for m, err := range v.Members {
		if err != nil {
			return false, err
		}
		if len(list) == patchedMembers {
			return false, nil
		}
		list = append(list, m)
	}
	v.Members = func(yield func(scim.Member, error) bool) {
		for _, m := range list {
			if !yield(m, nil) {
				return
			}
		}
	}
	return true, nil
}

// deleteGroup is DELETE /Groups/{id} (RFC 7644 §3.6).
func (s *server) deleteGroup(x *exchange) (workFunc, error) {
	pre, err := preconditions(x.r.Header)
	if err != nil {
		return nil, err
	}
	caller, id := x.caller, x.id
	return func(ctx context.Context) (answer, error) {
		if err := s.Groups.DeleteGroup(ctx, caller, id, pre); err != nil {
			return answer{}, err
		}
		return answer{status: http.StatusNoContent}, nil
	}, nil
}

// readGroup reads a Group from the body of a POST or PUT.
func (s *server) readGroup(x *exchange) (*scim.Group, scim.Projection, error) {
	proj, err := projection(s.GroupCodec, &x.query)
	if err != nil {
		return nil, proj, err
	}
	body, err := s.readBody(x, s.MaxGroupBody)
	if err != nil {
		return nil, proj, err
	}
	g, notes, err := s.GroupCodec.Decode(body, x.caller.Dialect)
	x.notes = append(x.notes, notes...)
	if g != nil {
		x.name = g.DisplayName
	}
	return g, proj, err
}

// groupAnswer is an answer that shows v.
func (s *server) groupAnswer(status int, v *scim.GroupView, proj scim.Projection) (answer, error) {
	if err := s.locateGroup(v); err != nil {
		return answer{}, err
	}
	return answer{status: status, etag: v.Group.Meta.Version, stream: func(w *bodyWriter) error {
		return s.streamGroup(w, v, proj)
	}}, nil
}

// groupList is a ListResponse (RFC 7644 §3.4.2).
func (s *server) groupList(page *scim.Page[scim.GroupView], q scim.Query, head pager) (answer, error) {
	if err := s.checkGroups(page); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, stream: func(w *bodyWriter) error {
		w.buf = head.appendHead(w.buf, page.Total, len(page.Resources), following(page.Next))
		for i, v := range page.Resources {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if err := s.streamGroup(w, v, q.Projection); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, `]}`...)
		return nil
	}}, nil
}

// checkGroups completes the groups of a page, and reports one that no handler is
// to return.
func (s *server) checkGroups(page *scim.Page[scim.GroupView]) error {
	switch {
	case page == nil:
		return errors.New("the handler returned no page")
	case len(page.Rendered) > 0:
		return errors.New("the handler rendered a page of groups, whose members are streamed")
	}
	for _, v := range page.Resources {
		if err := s.locateGroup(v); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) locateGroup(v *scim.GroupView) error {
	switch {
	case v == nil:
		return errors.New("the handler returned no group")
	case v.Group.Members != nil:
		return errors.New("the handler returned a group that holds its members")
	}
	return s.locate("Group", "/Groups", v.Group.ID, &v.Group.Meta)
}
