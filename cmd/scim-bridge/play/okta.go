package play

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// okta sends what an application of Okta's catalogue sends: PATCH for the
// status and for groups, GET and PUT for the rest of the profile, never DELETE
// for a user.
type okta struct{}

func (okta) name() string { return "Okta" }

func (okta) header(h http.Header) {
	h.Set("User-Agent", "Okta SCIM Client 1.0.0")
	h.Set("Accept", "application/scim+json")
	h.Set("Accept-Charset", "utf-8")
	h.Set("Content-Type", "application/scim+json; charset=utf-8")
}

// test asks for groups as well, because they are pushed.
func (okta) test() []request {
	return []request{
		{method: http.MethodGet, path: "/Users?startIndex=1&count=2"},
		{method: http.MethodGet, path: "/Groups?startIndex=1&count=100"},
	}
}

func (okta) find(p person) request {
	return oktaLookUp("/Users", fmt.Sprintf(`userName eq "%s"`, p.mail))
}

func oktaLookUp(path, filter string) request {
	return request{
		method: http.MethodGet, path: path + "?filter=" + url.PathEscape(filter) + "&startIndex=1&count=100",
		shown: path + "?filter=" + filter + "&startIndex=1&count=100",
	}
}

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

func (okta) create(p person) (request, error) {
	body, err := json.Marshal(oktaUser{
		Schemas: []string{userURN}, UserName: p.mail, Name: oktaName{p.given, p.family},
		Emails: []oktaEmail{{true, p.mail, "work"}}, DisplayName: p.display(), Locale: "en-US",
		ExternalID: p.oktaID(), Groups: []string{}, Password: fmt.Sprintf("1mz05%03dnq", p.number), Active: true,
	})
	return request{method: http.MethodPost, path: "/Users", body: body, shown: "/Users  (" + p.mail + ")"}, err
}

// rename reads the user and sends it back with the new name, everything else
// as it came: id, meta and what is read-only too.
func (okta) rename(ctx context.Context, s *session, id string, p person) error {
	got, err := s.send(ctx, request{method: http.MethodGet, path: "/Users/" + id})
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return nil // the answer is shown
	}
	var user map[string]any
	if err := json.Unmarshal(got.body, &user); err != nil {
		return fmt.Errorf("GET /Users/%s: the answer is not a JSON object: %w", id, err)
	}
	user["name"] = map[string]any{"givenName": p.given, "familyName": p.family, "middleName": ""}
	user["displayName"] = p.display()
	body, err := json.Marshal(user)
	if err != nil {
		return err
	}
	_, err = s.send(ctx, request{method: http.MethodPut, path: "/Users/" + id, body: body, shown: "/Users/" + id + "  name.familyName: " + p.family})
	return err
}

type oktaOp struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

func oktaPatch(path string, op oktaOp) (request, error) {
	body, err := json.Marshal(struct {
		Schemas    []string `json:"schemas"`
		Operations []oktaOp `json:"Operations"`
	}{[]string{patchURN}, []oktaOp{op}})
	return request{method: http.MethodPatch, path: path, body: body}, err
}

func (okta) setActive(id string, active bool) (request, error) {
	return oktaPatch("/Users/"+id, oktaOp{Op: "replace", Value: map[string]bool{"active": active}})
}

func (okta) findGroup(g group) request {
	return oktaLookUp("/Groups", fmt.Sprintf(`displayName eq "%s"`, g.name))
}

type oktaGroup struct {
	Schemas     []string     `json:"schemas"`
	DisplayName string       `json:"displayName"`
	Members     []oktaMember `json:"members"`
}

type oktaMember struct {
	Value   string `json:"value"`
	Display string `json:"display"`
}

func (okta) createGroup(g group) (request, error) {
	body, err := json.Marshal(oktaGroup{[]string{groupURN}, g.name, []oktaMember{}})
	return request{method: http.MethodPost, path: "/Groups", body: body, shown: "/Groups  (" + g.name + ")"}, err
}

// addMembers names the group again before its members, as with every change of
// them.
func (okta) addMembers(id string, g group, all []member) ([]request, error) {
	values := make([]oktaMember, len(all))
	for i, m := range all {
		values[i] = oktaMember{m.id, m.mail}
	}
	return oktaRegroup(id, g, oktaOp{Op: "add", Path: "members", Value: values})
}

func (okta) removeMember(id string, g group, m member) ([]request, error) {
	return oktaRegroup(id, g, oktaOp{Op: "remove", Path: fmt.Sprintf(`members[value eq "%s"]`, m.id)})
}

type oktaGroupName struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

func oktaRegroup(id string, g group, change oktaOp) ([]request, error) {
	var all []request
	for _, op := range []oktaOp{{Op: "replace", Value: oktaGroupName{id, g.name}}, change} {
		r, err := oktaPatch("/Groups/"+id, op)
		if err != nil {
			return nil, err
		}
		r.shown = r.path + "  (" + g.name + ")"
		all = append(all, r)
	}
	return all, nil
}
