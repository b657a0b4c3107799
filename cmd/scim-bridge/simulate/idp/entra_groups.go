package idp

import (
	"fmt"
	"net/http"
	"slices"
)

// adscimURN is a schema that Entra names beside the Group's and that nobody
// has.
const adscimURN = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

// entraMembersAtOnce is how many members one request adds when an
// administrator provisions on demand (provision-on-demand.md).
const entraMembersAtOnce = 5

func (e entra) FindGroup(name string) Request {
	return e.lookUp("/Groups", equals("displayName", name), "excludedAttributes=members")
}

type entraGroup struct {
	Schemas     []string  `json:"schemas"`
	ExternalID  string    `json:"externalId"`
	DisplayName string    `json:"displayName"`
	Meta        entraMeta `json:"meta"`
}

// CreateGroup makes an empty group: members follow when both ends exist.
// externalId is the object id.
func (e entra) CreateGroup(g Group) (Request, error) {
	return send(http.MethodPost, e.At("/Groups"), "("+g.Name+")", entraGroup{
		[]string{groupURN, adscimURN}, guid("group " + g.key()), g.Name, entraMeta{"Group"},
	})
}

func (e entra) RenameGroup(id string, g Group, _ []Member) (Request, error) {
	return g.shown(patch(e.At(groupPath(id)), op{e.op("Replace"), "displayName", g.Name}))
}

type entraMember struct {
	Ref   *string `json:"$ref"`
	Value string  `json:"value"`
}

// AddMembers looks whether the group is still there before it adds anybody.
func (e entra) AddMembers(id string, g Group, added, _ []Member) ([]Request, error) {
	requests := []Request{{Method: http.MethodGet, Path: e.At(groupPath(id), "excludedAttributes=members")}}
	for part := range slices.Chunk(added, entraMembersAtOnce) {
		members := make([]entraMember, len(part))
		for i, m := range part {
			members[i].Value = m.ID
		}
		r, err := g.shown(patch(e.At(groupPath(id)), op{e.op("Add"), "members", members}))
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// RemoveMembers asks whether each person is a member first, then takes it away:
// by a list of values under the path, or with the flag by a filter as the RFC
// has it.
func (e entra) RemoveMembers(id string, g Group, removed, _ []Member) ([]Request, error) {
	var requests []Request
	for _, m := range removed {
		filter := equals("id", id) + " and " + equals("members", m.ID)
		test := e.lookUp("/Groups", filter, "attributes=id")
		shown := e.lookUp("/Groups", equals("id", clip(id, 9))+" and "+equals("members", clip(m.ID, 9)), "attributes=id")
		test.Shown = shown.Shown // short, to show what is asked
		change := op{"Remove", "members", values([]Member{m})}
		if e.flag {
			change = op{Op: "remove", Path: fmt.Sprintf("members[%s]", equals("value", m.ID))}
		}
		r, err := g.shown(patch(e.At(groupPath(id)), change))
		if err != nil {
			return nil, err
		}
		requests = append(requests, test, r)
	}
	return requests, nil
}
