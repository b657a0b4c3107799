package lint

import (
	"context"
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Groups is next, with a look at what passes through. It changes neither a
// request nor an answer.
func (l *Linter) Groups(next scim.GroupHandler) scim.GroupHandler { return &groups{next, l} }

type groups struct {
	scim.GroupHandler
	l *Linter
}

func (h *groups) CreateGroup(ctx context.Context, c scim.Caller, g *scim.Group, members bool) (*scim.GroupView, error) {
	name, sent := g.DisplayName, g.Members
	created, err := h.GroupHandler.CreateGroup(ctx, c, g, members)
	if err == nil {
		h.l.settled(c.Tenant, h.l.unnamed(c.Tenant, "Group", name), ofGroup)
		return created, err
	}
	h.l.regrouped(c, h.l.unnamed(c.Tenant, "Group", name), err, func(add func(string) bool) { eachMember(sent, add) })
	return created, err
}

func (h *groups) ReplaceGroup(ctx context.Context, c scim.Caller, id string, g *scim.Group, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	sent := g.Members
	replaced, err := h.GroupHandler.ReplaceGroup(ctx, c, id, g, pre, members)
	h.l.regrouped(c, h.l.identified(c.Tenant, "Group", id), err, func(add func(string) bool) { eachMember(sent, add) })
	return replaced, err
}

func (h *groups) PatchGroup(ctx context.Context, c scim.Caller, id string, p *scim.GroupPatch, pre scim.Preconditions, members bool) (*scim.GroupView, error) {
	patched, err := h.GroupHandler.PatchGroup(ctx, c, id, p, pre, members)
	if err == nil && len(p.Members) == 0 {
		return patched, nil // it says nothing of members
	}
	h.l.regrouped(c, h.l.identified(c.Tenant, "Group", id), err, func(add func(string) bool) {
		for i := range p.Members {
			if p.Members[i].Op == scim.MemberRemove {
				continue // who is to be removed need not exist
			}
			for _, v := range p.Members[i].Values {
				if !add(v) {
					return
				}
			}
		}
	})
	return patched, err
}

func (h *groups) DeleteGroup(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	err := h.GroupHandler.DeleteGroup(ctx, c, id, pre)
	if err == nil {
		h.l.settled(c.Tenant, h.l.identified(c.Tenant, "Group", id), ofGroup)
	}
	return err
}

func eachMember(members []scim.Member, add func(string) bool) {
	for i := range members {
		if !add(members[i].Value) {
			return
		}
	}
}

// regrouped notes that a change of members was done, or refused: then the first
// of them are looked up later.
func (l *Linter) regrouped(c scim.Caller, subject string, err error, each func(add func(string) bool)) {
	if err == nil {
		l.settled(c.Tenant, subject, maskOf(memberUnknown, nested))
		return
	}
	refused := asError(err)
	if refused == nil || refused.Status != http.StatusBadRequest || refused.Type != scim.TypeInvalidValue {
		return
	}
	var members []string
	each(func(v string) bool {
		// A member shares the memory of the whole body.
		members = append(members, strings.Clone(v))
		return len(members) < maxMembers
	})
	if len(members) > 0 {
		l.refused(c, refusal{subject: strings.Clone(subject), members: members})
	}
}
