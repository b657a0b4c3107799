package scim_test

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/sharearefund/scim-bridge/scim"
)

// strictMembers refuses to add who is a member, or to remove who is none.
type strictMembers struct {
	scim.GroupHandler
	op scim.MemberOp
}

func (s strictMembers) PatchGroup(ctx context.Context, c scim.Caller, id string, p *scim.GroupPatch, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	g, err := s.GetGroup(ctx, c, id, true)
	if err != nil {
		return nil, err
	}
	in := map[string]bool{}
	for m, err := range g.Members {
		if err != nil {
			return nil, err
		}
		in[m.Value] = true
	}
	for _, ch := range p.Members {
		for _, v := range ch.Values {
			if ch.Op == s.op && in[v] == (s.op == scim.MemberAdd) {
				return nil, scim.Conflict("member %q", v)
			}
		}
	}
	return s.GroupHandler.PatchGroup(ctx, c, id, p, pre, members)
}

// clearedMembers and clearedExternalID read a PUT to the letter: what it omits
// is to go.
type (
	clearedMembers    struct{ scim.GroupHandler }
	clearedExternalID struct{ scim.GroupHandler }
)

func (s clearedMembers) ReplaceGroup(ctx context.Context, c scim.Caller, id string, g *scim.Group, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	if g.Members == nil {
		g.Members = []scim.Member{}
	}
	return s.GroupHandler.ReplaceGroup(ctx, c, id, g, pre, members)
}

func (s clearedExternalID) ReplaceGroup(ctx context.Context, c scim.Caller, id string, g *scim.Group, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	if g.ExternalID == "" {
		clears := &scim.GroupPatch{ExternalID: new(string)}
		if _, err := s.PatchGroup(ctx, c, id, clears, pre, false); err != nil {
			return nil, err
		}
	}
	return s.GroupHandler.ReplaceGroup(ctx, c, id, g, pre, members)
}

// wireRemovalOfAll takes an empty list of what to remove for none at all.
func wireRemovalOfAll(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = bytes.ReplaceAll(body, []byte(`, "value": []`), nil)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}
