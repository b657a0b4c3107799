package idp

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// oneLogin sends what a OneLogin SCIM connector sends whose administrator
// filled the JSON template as OneLogin shows it: every placeholder is a string,
// the status too, id comes along, and an update is the template again.
// (developers.onelogin.com/scim/define-user-schema.) Look-ups, groups and what
// it does with a 429 are described nowhere: they are as RFC 7644 has them.
type oneLogin struct{}

func (oneLogin) Name() string { return "OneLogin" }

func (oneLogin) Header(h http.Header) {
	h.Set("Accept", "application/json")
	h.Set("Content-Type", "application/json")
}

func (oneLogin) Traits() Traits {
	return Traits{DeletesUsers: true, Retry: plainRetry}
}

// plainRetry stands for clients whose makers say nothing of a 429.
var plainRetry = Retry{Times: 4, Unasked: time.Minute, Doubles: true, Source: "RFC 6585 §4; nothing is published for this client"}

func (oneLogin) At(path string, query ...string) string { return address(path, query...) }

func (o oneLogin) Test() []Request { return []Request{o.Find(nobody + "@example.com")} }

func (oneLogin) Find(userName string) Request {
	return lookUp("/Users", equals("userName", userName), percent)
}

// oneLoginUser is the template. The addresses have no primary.
type oneLoginUser struct {
	Schemas     []string        `json:"schemas"`
	UserName    string          `json:"userName"`
	Name        oktaName        `json:"name"`
	Emails      []entraValue    `json:"emails"`
	DisplayName string          `json:"displayName"`
	ID          *string         `json:"id"`
	Title       string          `json:"title"`
	Enterprise  entraEnterprise `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	Active      string          `json:"active"`
}

func oneLoginTemplate(id *string, p Person, active bool) oneLoginUser {
	return oneLoginUser{
		Schemas: []string{userURN, enterpriseURN}, UserName: p.Mail, Name: oktaName{p.Given, p.Family},
		Emails: []entraValue{{false, "work", p.Mail}}, DisplayName: p.Display(), ID: id, Title: p.Title,
		Enterprise: entraEnterprise{p.Department}, Active: strconv.FormatBool(active),
	}
}

// Create has no id yet: the template makes it null.
func (oneLogin) Create(p Person) (Request, error) {
	return send(http.MethodPost, "/Users", "("+p.Mail+")", oneLoginTemplate(nil, p, true))
}

func (oneLogin) Update(id string, _ []byte, _, p Person) (Request, error) {
	return send(http.MethodPut, userPath(id), "name.familyName: "+p.Family, oneLoginTemplate(&id, p, true))
}

func (oneLogin) SetActive(id string, _ []byte, p Person, active bool) (Request, error) {
	return send(http.MethodPut, userPath(id), fmt.Sprintf("active: %t", active), oneLoginTemplate(&id, p, active))
}

func (oneLogin) FindGroup(name string) Request {
	return lookUp("/Groups", equals("displayName", name), percent)
}

func (oneLogin) CreateGroup(g Group) (Request, error) { return plainGroup(g) }

// plainGroup is an empty group, RFC 7643 §4.2.
func plainGroup(g Group) (Request, error) {
	return send(http.MethodPost, "/Groups", "("+g.Name+")", struct {
		Schemas     []string    `json:"schemas"`
		DisplayName string      `json:"displayName"`
		Members     []valueOnly `json:"members"`
	}{[]string{groupURN}, g.Name, []valueOnly{}})
}

func (oneLogin) RenameGroup(id string, g Group, _ []Member) (Request, error) {
	return plainRename(id, g)
}

func plainRename(id string, g Group) (Request, error) {
	return g.shown(patch(groupPath(id), op{"replace", "displayName", g.Name}))
}

func (oneLogin) AddMembers(id string, g Group, added, _ []Member) ([]Request, error) {
	r, err := g.shown(patch(groupPath(id), op{"add", "members", values(added)}))
	return []Request{r}, err
}

// RemoveMembers is the one form of RFC 7644 §3.5.2.2.
func (oneLogin) RemoveMembers(id string, g Group, removed, _ []Member) ([]Request, error) {
	var ops []op
	for _, m := range removed {
		ops = append(ops, op{Op: "remove", Path: fmt.Sprintf("members[%s]", equals("value", m.ID))})
	}
	r, err := g.shown(patch(groupPath(id), ops...))
	return []Request{r}, err
}
