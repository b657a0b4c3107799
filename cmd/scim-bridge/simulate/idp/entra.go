package idp

import (
	"net/http"
	"net/url"
	"time"
)

// entra sends what an application of Microsoft Entra ID sends: capitalised
// operations and booleans as strings, or with the compatibility flag lower case,
// booleans, and one replace without a path. (entra-docs:
// use-scim-to-provision-users-and-groups.md and
// application-provisioning-config-problem-scim-compatibility.md.)
type entra struct{ flag bool }

// flagQuery is what administrators append to the tenant URL.
const flagQuery = "aadOptscim062020"

func (entra) Name() string { return "Entra" }

func (entra) Header(h http.Header) {
	h.Set("Accept", "application/scim+json")
	h.Set("Content-Type", "application/scim+json; charset=utf-8")
}

// Traits: users are deleted 30 days after they were disabled, and it reads a
// group without its members, never all resources (how-provisioning-works.md).
// What failed is sent again in the next cycle, 40 minutes later
// (howto-analyze-provisioning-logs.md; whether Retry-After is honoured, sources
// disagree).
func (entra) Traits() Traits {
	return Traits{
		DeletesUsers: true,
		Retry: Retry{
			Times: 2, Unasked: 40 * time.Minute, NextCycle: 40 * time.Minute,
			Source: `Microsoft, "How application provisioning works": failures wait for the next cycle`,
		},
	}
}

func (e entra) At(path string, query ...string) string {
	if e.flag {
		query = append([]string{flagQuery}, query...)
	}
	return address(path, query...)
}

// nobody is a random GUID, the same for all: the test of a connection asks for
// somebody who cannot exist.
const nobody = "51f2b6a3-9d0e-4c1b-8f57-2f6d3b0e9a74"

// Test: the answer has to be an empty list.
func (e entra) Test() []Request { return []Request{e.Find(nobody)} }

// Find: spaces arrive as "+", "@" as "%40".
func (e entra) Find(userName string) Request {
	return e.lookUp("/Users", equals("userName", userName))
}

func (e entra) lookUp(path, filter string, query ...string) Request {
	if e.flag {
		query = append([]string{flagQuery}, query...)
	}
	return lookUp(path, filter, url.QueryEscape, query...)
}

// entraUser names the enterprise schema always, and roles and meta come along.
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

// Create: externalId is the mailNickname, which is Entra's default mapping.
func (e entra) Create(p Person) (Request, error) {
	return send(http.MethodPost, e.At("/Users"), "("+p.Mail+")", entraUser{
		Schemas: []string{userURN, enterpriseURN}, ExternalID: p.nickname(), UserName: p.Mail, Active: true,
		DisplayName: p.Display(), Emails: []entraValue{{true, "work", p.Mail}}, Meta: entraMeta{"User"},
		Name:         entraName{p.Display(), p.Family, p.Given},
		PhoneNumbers: []entraValue{{false, "work", p.Phone}}, Roles: []string{}, Title: p.Title,
		Enterprise: entraEnterprise{p.Department},
	})
}

// workEmail is the path of the default mapping of mail.
const workEmail = `emails[type eq "work"].value`

// Update sends what differs.
func (e entra) Update(id string, _ []byte, was, p Person) (Request, error) {
	var simple []op
	differ := func(path, before, after string) {
		if before != after {
			simple = append(simple, op{"Replace", path, after})
		}
	}
	differ("userName", was.Mail, p.Mail)
	differ("displayName", was.Display(), p.Display())
	differ("name.formatted", was.Display(), p.Display())
	differ("name.givenName", was.Given, p.Given)
	differ("name.familyName", was.Family, p.Family)
	differ("title", was.Title, p.Title)
	differ(enterpriseURN+":department", was.Department, p.Department)
	var ops []op
	if was.Mail != p.Mail {
		ops = append(ops, op{e.op("Replace"), workEmail, p.Mail})
	}
	if !e.flag {
		return patch(e.At(userPath(id)), append(simple, ops...)...)
	}
	if len(simple) > 0 {
		together := map[string]any{}
		for _, o := range simple {
			together[o.Path] = o.Value
		}
		ops = append(ops, op{Op: "replace", Value: together})
	}
	return patch(e.At(userPath(id)), ops...)
}

// op is the name of an operation: capitalised, but with the flag.
func (e entra) op(name string) string {
	if e.flag {
		return string(name[0]|0x20) + name[1:]
	}
	return name
}

func (e entra) SetActive(id string, _ []byte, _ Person, active bool) (Request, error) {
	var value any = active
	if !e.flag {
		value = map[bool]string{true: "True", false: "False"}[active]
	}
	return patch(e.At(userPath(id)), op{e.op("Replace"), "active", value})
}
