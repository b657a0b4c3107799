package idp

import (
	"fmt"
	"net/http"
)

func (okta) FindGroup(name string) Request {
	return oktaLookUp("/Groups", equals("displayName", name))
}

type oktaGroup struct {
	Schemas     []string     `json:"schemas"`
	ID          string       `json:"id,omitempty"`
	DisplayName string       `json:"displayName"`
	Members     []oktaMember `json:"members"`
}

// oktaMember has no type. The wizard's display may be null (SimpleIdServer#247).
type oktaMember struct {
	Value   string  `json:"value"`
	Display *string `json:"display"`
}

func oktaMembers(all []Member, named bool) []oktaMember {
	out := make([]oktaMember, len(all))
	for i, m := range all {
		out[i].Value = m.ID
		if named {
			out[i].Display = &m.Mail
		}
	}
	return out
}

func (okta) CreateGroup(g Group) (Request, error) {
	return send(http.MethodPost, "/Groups", "("+g.Name+")", oktaGroup{
		Schemas: []string{groupURN}, DisplayName: g.Name, Members: []oktaMember{},
	})
}

// RenameGroup is the operation that comes with every change of the members,
// too ("Update specific Group name"; Captain-P-Goldfish/SCIM-SDK#757).
func (o okta) RenameGroup(id string, g Group, members []Member) (Request, error) {
	if o.wizard {
		return oktaPutGroup(id, g, members)
	}
	return g.shown(patch(groupPath(id), op{Op: "replace", Value: oktaGroupName{id, g.Name}}))
}

type oktaGroupName struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// AddMembers names the group again before its members, as with every change of
// them.
func (o okta) AddMembers(id string, g Group, added, members []Member) ([]Request, error) {
	return o.regroup(id, g, members, op{Op: "add", Path: "members", Value: oktaMembers(added, true)})
}

func (o okta) RemoveMembers(id string, g Group, removed, members []Member) ([]Request, error) {
	var ops []op
	for _, m := range removed {
		ops = append(ops, op{Op: "remove", Path: fmt.Sprintf("members[%s]", equals("value", m.ID))})
	}
	return o.regroup(id, g, members, ops...)
}

func (o okta) regroup(id string, g Group, members []Member, ops ...op) ([]Request, error) {
	name, err := o.RenameGroup(id, g, members)
	if err != nil || o.wizard {
		return []Request{name}, err
	}
	change, err := g.shown(patch(groupPath(id), ops...))
	return []Request{name, change}, err
}

// oktaPutGroup is the wizard's one way of changing a group: all of it
// (okta-developer-docs PR 3853; ory/polis#3136).
func oktaPutGroup(id string, g Group, members []Member) (Request, error) {
	return send(http.MethodPut, groupPath(id), "("+g.Name+")", oktaGroup{
		Schemas: []string{groupURN}, ID: id, DisplayName: g.Name, Members: oktaMembers(members, false),
	})
}

// shown puts the group's name behind the path when the request is printed.
func (g Group) shown(r Request, err error) (Request, error) {
	r.Shown = r.Path + "  (" + g.Name + ")"
	return r, err
}
