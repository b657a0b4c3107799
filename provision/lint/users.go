package lint

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Users is next, with a look at what passes through. It changes neither a
// request nor an answer.
func (l *Linter) Users(next scim.UserHandler) scim.UserHandler { return &users{next, l} }

type users struct {
	scim.UserHandler
	l *Linter
}

func (h *users) CreateUser(ctx context.Context, c scim.Caller, u *scim.User) (*scim.User, error) {
	// What is sent is looked at first: the handler takes it over.
	s, name, external := shapeOf(c.Dialect, u), u.UserName, u.ExternalID
	if len(u.Roles) > 0 {
		s.wrong |= 1 << rolesUnread
	}
	created, err := h.UserHandler.CreateUser(ctx, c, u)
	if err == nil && created != nil {
		h.l.shaped(c, h.l.identified(c.Tenant, "User", created.ID), s)
		h.l.settled(c.Tenant, h.l.unnamed(c.Tenant, "User", name), maskOf(noEmail))
		return created, err
	}
	switch refused := asError(err); {
	case refused == nil:
	case refused.Status == http.StatusBadRequest:
		h.l.shaped(c, h.l.unnamed(c.Tenant, "User", name), shape{wrong: s.wrong & maskOf(noEmail)})
	case refused.Status == http.StatusConflict:
		h.l.refused(c, refusal{name: strings.Clone(name), externalID: strings.Clone(external)})
	}
	return created, err
}

func (h *users) ReplaceUser(ctx context.Context, c scim.Caller, id string, u *scim.User, pre scim.Preconditions) (*scim.User, error) {
	s := shapeOf(c.Dialect, u)
	if len(u.Roles) == 0 {
		s.right |= 1 << rolesUnread
	}
	if u.Password != "" {
		s.wrong |= 1 << passwordUnused
	}
	replaced, err := h.UserHandler.ReplaceUser(ctx, c, id, u, pre)
	h.l.changed(c, id, s, err)
	return replaced, err
}

func (h *users) PatchUser(ctx context.Context, c scim.Caller, id string, p *scim.Patch, pre scim.Preconditions) (*scim.User, error) {
	patched, err := h.UserHandler.PatchUser(ctx, c, id, p, pre)
	var s shape
	if err == nil && patched != nil {
		s = shapeOf(c.Dialect, patched)
		if len(patched.Roles) > 0 && p.Mentions("roles") {
			s.wrong |= 1 << rolesUnread
			if c.Dialect == scim.DialectEntra {
				s.say(rolesStay, addsRoles(h.l.codec, p))
			}
		}
		if _, ok := p.Password(); ok {
			s.wrong |= 1 << passwordUnused
		}
	}
	h.l.changed(c, id, s, err)
	return patched, err
}

func (h *users) DeleteUser(ctx context.Context, c scim.Caller, id string, pre scim.Preconditions) error {
	err := h.UserHandler.DeleteUser(ctx, c, id, pre)
	if err == nil {
		h.l.settled(c.Tenant, h.l.identified(c.Tenant, "User", id), ofUser)
	}
	return err
}

// changed notes what a change of a user showed, and whether it may have been
// refused because the account was never handed over.
func (l *Linter) changed(c scim.Caller, id string, s shape, err error) {
	refused := asError(err)
	switch {
	case err == nil:
		l.shaped(c, l.identified(c.Tenant, "User", id), s)
	case refused == nil:
	case refused.Status == http.StatusForbidden:
		l.refused(c, refusal{id: strings.Clone(id)})
	case refused.Status == http.StatusBadRequest:
		l.shaped(c, l.identified(c.Tenant, "User", id), shape{wrong: s.wrong & maskOf(noEmail)})
	}
}

// asError is err as a refusal; nil when it is none.
func asError(err error) *scim.Error {
	if err == nil {
		return nil
	}
	refused, _ := errors.AsType[*scim.Error](err)
	return refused
}
