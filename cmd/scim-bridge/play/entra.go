package play

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// entra sends what a custom application of Microsoft Entra ID sends without
// the compatibility flag: capitalised operations and booleans as strings.
type entra struct{}

func (entra) name() string { return "Entra" }

func (entra) header(h http.Header) {
	h.Set("Accept", "application/scim+json")
	h.Set("Content-Type", "application/scim+json; charset=utf-8")
}

// test asks for somebody who cannot exist; the answer has to be an empty list.
func (entra) test() []request {
	return []request{entraUserNamed("51f2b6a3-9d0e-4c1b-8f57-2f6d3b0e9a74")}
}

func (entra) find(p person) request { return entraUserNamed(p.mail) }

func entraUserNamed(userName string) request {
	return entraLookUp("/Users?filter=", fmt.Sprintf(`userName eq "%s"`, userName))
}

func entraLookUp(path, filter string) request {
	return request{method: http.MethodGet, path: path + url.QueryEscape(filter), shown: path + filter}
}

type entraUser struct {
	Schemas      []string        `json:"schemas"`
	ExternalID   string          `json:"externalId"`
	UserName     string          `json:"userName"`
	Active       bool            `json:"active"`
	DisplayName  string          `json:"displayName"`
	Emails       []entraValue    `json:"emails"`
	Meta         entraMeta       `json:"meta"`
	Name         entraName       `json:"name"`
	PhoneNumbers []entraValue    `json:"phoneNumbers"`
	Roles        []string        `json:"roles"`
	Title        string          `json:"title"`
	Enterprise   entraEnterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
}

type entraValue struct {
	Primary bool   `json:"primary,omitempty"`
	Type    string `json:"type"`
	Value   string `json:"value"`
}

type entraMeta struct {
	ResourceType string `json:"resourceType"`
}

type entraName struct {
	Formatted  string `json:"formatted"`
	FamilyName string `json:"familyName"`
	GivenName  string `json:"givenName"`
}

type entraEnterprise struct {
	Department string `json:"department"`
}

func (entra) create(p person) (request, error) {
	body, err := json.Marshal(entraUser{
		Schemas: []string{userURN, enterpriseURN}, ExternalID: p.nickname(), UserName: p.mail, Active: true,
		DisplayName: p.display(), Emails: []entraValue{{true, "work", p.mail}}, Meta: entraMeta{"User"},
		Name:         entraName{p.display(), p.family, p.given},
		PhoneNumbers: []entraValue{{false, "work", p.phone}}, Roles: []string{}, Title: p.title,
		Enterprise: entraEnterprise{p.department},
	})
	return request{method: http.MethodPost, path: "/Users", body: body, shown: "/Users  (" + p.mail + ")"}, err
}

type entraOp struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func entraPatch(path string, ops ...entraOp) (request, error) {
	body, err := json.Marshal(struct {
		Schemas    []string  `json:"schemas"`
		Operations []entraOp `json:"Operations"`
	}{[]string{patchURN}, ops})
	return request{method: http.MethodPatch, path: path, body: body}, err
}

func (entra) rename(ctx context.Context, s *session, id string, p person) error {
	r, err := entraPatch("/Users/"+id,
		entraOp{"Replace", "displayName", p.display()},
		entraOp{"Replace", "name.formatted", p.display()},
		entraOp{"Replace", "name.familyName", p.family})
	if err != nil {
		return err
	}
	_, err = s.send(ctx, r)
	return err
}

func (entra) setActive(id string, active bool) (request, error) {
	value := "False"
	if active {
		value = "True"
	}
	return entraPatch("/Users/"+id, entraOp{"Replace", "active", value})
}

// adscimURN is a schema that Entra names beside the Group's and that nobody
// has.
const adscimURN = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

// entraMembersAtOnce is how many members one request adds when an
// administrator provisions on demand ("On-demand provisioning").
const entraMembersAtOnce = 5

func (entra) findGroup(g group) request {
	return entraLookUp("/Groups?excludedAttributes=members&filter=", fmt.Sprintf(`displayName eq "%s"`, g.name))
}

type entraGroup struct {
	Schemas     []string  `json:"schemas"`
	ExternalID  string    `json:"externalId"`
	DisplayName string    `json:"displayName"`
	Meta        entraMeta `json:"meta"`
}

// createGroup makes an empty group: members follow when both ends exist.
func (entra) createGroup(g group) (request, error) {
	body, err := json.Marshal(entraGroup{[]string{groupURN, adscimURN}, g.objectID(), g.name, entraMeta{"Group"}})
	return request{method: http.MethodPost, path: "/Groups", body: body, shown: "/Groups  (" + g.name + ")"}, err
}

type entraMember struct {
	Ref   *string `json:"$ref"`
	Value string  `json:"value"`
}

// addMembers looks whether the group is still there before it adds anybody.
func (entra) addMembers(id string, g group, all []member) ([]request, error) {
	requests := []request{{method: http.MethodGet, path: "/Groups/" + id + "?excludedAttributes=members"}}
	for part := range slices.Chunk(all, entraMembersAtOnce) {
		values := make([]entraMember, len(part))
		for i, m := range part {
			values[i].Value = m.id
		}
		r, err := entraPatch("/Groups/"+id, entraOp{"Add", "members", values})
		if err != nil {
			return nil, err
		}
		r.shown = r.path + "  (" + g.name + ")"
		requests = append(requests, r)
	}
	return requests, nil
}

// removeMember asks whether the person is a member first.
func (entra) removeMember(id string, g group, m member) ([]request, error) {
	const path, filter = "/Groups?attributes=id&filter=", `id eq "%s" and members eq "%s"`
	test := entraLookUp(path, fmt.Sprintf(filter, id, m.id))
	test.shown = path + fmt.Sprintf(filter, clip(id, 9), clip(m.id, 9)) // to show what is asked
	r, err := entraPatch("/Groups/"+id, entraOp{"Remove", "members", []map[string]string{{"value": m.id}}})
	r.shown = r.path + "  (" + g.name + ")"
	return []request{test, r}, err
}
