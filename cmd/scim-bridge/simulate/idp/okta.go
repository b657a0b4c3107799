package idp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// okta sends what Okta's integrations send. Those of the catalogue use PATCH
// for the status and for groups, and GET and PUT for the rest of the profile;
// those of the App Integration Wizard use PUT for everything. Neither ever
// deletes a user. (okta-developer-docs: "SCIM 2.0 Protocol Reference",
// "Understanding SCIM".)
type okta struct{ wizard bool }

func (okta) Name() string { return "Okta" }

// Header: okta-developer-docs, "SCIM 2.0 Protocol Reference"; the charset:
// oktadeveloper/okta-blog-archive PR 1956.
func (okta) Header(h http.Header) {
	h.Set("User-Agent", "Okta SCIM Client 1.0.0")
	h.Set("Accept", "application/scim+json")
	h.Set("Accept-Charset", "utf-8")
	h.Set("Content-Type", "application/scim+json; charset=utf-8")
}

// Traits: pages of 100 from "SCIM 2.0 Protocol Reference"; 429 from
// "Understanding SCIM", where whole seconds are the one form of Retry-After,
// five minutes stand for any other, the wait doubles, and ten attempts are all.
func (o okta) Traits() Traits {
	return Traits{
		ReadsBeforeUpdate: true, ReadsBeforeStatus: o.wizard, WholeMembers: o.wizard, PageSize: 100,
		Retry: Retry{Times: 10, Unasked: 5 * time.Minute, Doubles: true, Source: `Okta, "Understanding SCIM" (429)`},
	}
}

func (okta) At(path string, query ...string) string { return address(path, query...) }

// Test asks for groups as well, as where groups are pushed (SCIM 1.1 reference;
// joelfranusic-okta/okta-scim-beta).
func (okta) Test() []Request {
	return []Request{
		{Method: http.MethodGet, Path: "/Users?startIndex=1&count=2"},
		{Method: http.MethodGet, Path: "/Groups?startIndex=1&count=100"},
	}
}

func (okta) Find(userName string) Request { return oktaLookUp("/Users", equals("userName", userName)) }

func oktaLookUp(path, filter string) Request {
	r := lookUp(path, filter, oktaEscape)
	const page = "&startIndex=1&count=100"
	r.Path, r.Shown = r.Path+page, r.Shown+page
	return r
}

// oktaEscape leaves the @ of addresses as it is.
func oktaEscape(filter string) string {
	return strings.NewReplacer("&", "%26", "+", "%2B").Replace(url.PathEscape(filter))
}

// oktaUser is the create of the protocol reference.
type oktaUser struct {
	Schemas     []string    `json:"schemas"`
	UserName    string      `json:"userName"`
	Name        oktaName    `json:"name"`
	Emails      []oktaEmail `json:"emails"`
	DisplayName string      `json:"displayName"`
	Locale      string      `json:"locale"`
	ExternalID  string      `json:"externalId"`
	Groups      []string    `json:"groups"`
	Password    string      `json:"password"`
	Active      bool        `json:"active"`
}

type oktaName struct {
	GivenName  string `json:"givenName"`
	FamilyName string `json:"familyName"`
}

type oktaEmail struct {
	Primary bool   `json:"primary"`
	Value   string `json:"value"`
	Type    string `json:"type"`
}

// Create has a password always: a random one when they are not synchronised.
func (okta) Create(p Person) (Request, error) {
	return send(http.MethodPost, "/Users", "("+p.Mail+")", oktaUser{
		Schemas: []string{userURN}, UserName: p.Mail, Name: oktaName{p.Given, p.Family},
		Emails: []oktaEmail{{true, p.Mail, "work"}}, DisplayName: p.Display(), Locale: "en-US",
		ExternalID: "00u" + letters(p.Mail, 17), // 20 characters, as Okta's ids of users
		Groups:     []string{}, Password: "1mz" + letters("password of "+p.Mail, 9), Active: true,
	})
}

// Update sends back what was read with the person's data in place of the old,
// everything else as it came: id, meta and what is read-only too. Empty strings
// occur.
func (okta) Update(id string, current []byte, was, p Person) (Request, error) {
	change := map[string]any{
		"name":        map[string]any{"givenName": p.Given, "familyName": p.Family, "middleName": ""},
		"displayName": p.Display(),
	}
	about := "name.familyName: " + p.Family
	if was.Mail != p.Mail {
		change["userName"], change["emails"] = p.Mail, []oktaEmail{{true, p.Mail, "work"}}
		about = "userName: " + p.Mail
	}
	return oktaPut(id, current, change, about)
}

func oktaPut(id string, current []byte, change map[string]any, about string) (Request, error) {
	user, err := overlay(current, change)
	if err != nil {
		return Request{}, err
	}
	return send(http.MethodPut, userPath(id), about, user)
}

func (o okta) SetActive(id string, current []byte, _ Person, active bool) (Request, error) {
	if o.wizard {
		return oktaPut(id, current, map[string]any{"active": active}, fmt.Sprintf("active: %t", active))
	}
	return patch(userPath(id), op{Op: "replace", Value: map[string]bool{"active": active}})
}
