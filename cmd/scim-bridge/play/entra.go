package play

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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
func (entra) test() request { return lookUp("51f2b6a3-9d0e-4c1b-8f57-2f6d3b0e9a74") }

func (entra) find(p person) request { return lookUp(p.mail) }

func lookUp(userName string) request {
	filter := fmt.Sprintf(`userName eq "%s"`, userName)
	return request{method: http.MethodGet, path: "/Users?filter=" + url.QueryEscape(filter), shown: "/Users?filter=" + filter}
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

func entraPatch(id string, ops ...entraOp) (request, error) {
	body, err := json.Marshal(struct {
		Schemas    []string  `json:"schemas"`
		Operations []entraOp `json:"Operations"`
	}{[]string{patchURN}, ops})
	return request{method: http.MethodPatch, path: "/Users/" + id, body: body}, err
}

func (entra) rename(ctx context.Context, s *session, id string, p person) error {
	r, err := entraPatch(id,
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
	return entraPatch(id, entraOp{"Replace", "active", value})
}
