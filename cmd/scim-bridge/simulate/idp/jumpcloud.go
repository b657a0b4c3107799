package idp

import "net/http"

// jumpCloud sends what a custom SCIM integration of JumpCloud sends: one
// operation an attribute, each with its path; members as a value alone; and
// their removal by a list of values. (Paul-E/scim-v2-rust,
// src/test_data/jumpcloud_*.json; app.uni-moni.com, "SSO setup: JumpCloud".)
// Look-ups and what it does with a 429 are described nowhere.
type jumpCloud struct{}

func (jumpCloud) Name() string { return "JumpCloud" }

func (jumpCloud) Header(h http.Header) {
	h.Set("Accept", "application/json")
	h.Set("Content-Type", "application/json")
}

// Traits: "A test user and test group are created to test the integration"
// (support.jumpcloud.com, "Identity Management using a Custom SCIM
// Integration").
func (jumpCloud) Traits() Traits {
	return Traits{DeletesUsers: true, TestCreates: true, Retry: plainRetry}
}

func (jumpCloud) At(path string, query ...string) string { return address(path, query...) }

func (j jumpCloud) Test() []Request { return []Request{j.Find(nobody + "@example.com")} }

func (jumpCloud) Find(userName string) Request {
	return lookUp("/Users", equals("userName", userName), percent)
}

type jumpCloudUser struct {
	Schemas     []string    `json:"schemas"`
	UserName    string      `json:"userName"`
	Name        oktaName    `json:"name"`
	Emails      []oktaEmail `json:"emails"`
	DisplayName string      `json:"displayName"`
	Active      bool        `json:"active"`
}

func (jumpCloud) Create(p Person) (Request, error) {
	return send(http.MethodPost, "/Users", "("+p.Mail+")", jumpCloudUser{
		Schemas: []string{userURN}, UserName: p.Mail, Name: oktaName{p.Given, p.Family},
		Emails: []oktaEmail{{true, p.Mail, "work"}}, DisplayName: p.Display(), Active: true,
	})
}

func (jumpCloud) Update(id string, _ []byte, was, p Person) (Request, error) {
	ops := []op{
		{"replace", "name.givenName", p.Given},
		{"replace", "name.familyName", p.Family},
		{"replace", "displayName", p.Display()},
	}
	if was.Mail != p.Mail {
		ops = append(ops, op{"replace", "userName", p.Mail}, op{"replace", "emails", []oktaEmail{{true, p.Mail, "work"}}})
	}
	return patch(userPath(id), ops...)
}

func (jumpCloud) SetActive(id string, _ []byte, _ Person, active bool) (Request, error) {
	return patch(userPath(id), op{"replace", "active", active})
}

func (jumpCloud) FindGroup(name string) Request {
	return lookUp("/Groups", equals("displayName", name), percent)
}

func (jumpCloud) CreateGroup(g Group) (Request, error) { return plainGroup(g) }

func (jumpCloud) RenameGroup(id string, g Group, _ []Member) (Request, error) {
	return plainRename(id, g)
}

func (jumpCloud) AddMembers(id string, g Group, added, _ []Member) ([]Request, error) {
	return eachMember(id, g, "add", added)
}

func (jumpCloud) RemoveMembers(id string, g Group, removed, _ []Member) ([]Request, error) {
	return eachMember(id, g, "remove", removed)
}

// eachMember sends a request a member.
func eachMember(id string, g Group, name string, all []Member) ([]Request, error) {
	var requests []Request
	for _, m := range all {
		r, err := g.shown(patch(groupPath(id), op{name, "members", values([]Member{m})}))
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	return requests, nil
}
