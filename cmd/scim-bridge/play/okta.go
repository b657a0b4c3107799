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
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// okta sends what an application of Okta's catalogue sends: PATCH for the
// status, GET and PUT for the rest of the profile, never DELETE.
type okta struct{}

func (okta) name() string { return "Okta" }

func (okta) header(h http.Header) {
	h.Set("User-Agent", "Okta SCIM Client 1.0.0")
	h.Set("Accept", "application/scim+json")
	h.Set("Accept-Charset", "utf-8")
	h.Set("Content-Type", "application/scim+json; charset=utf-8")
}

func (okta) test() request {
	return request{method: http.MethodGet, path: "/Users?startIndex=1&count=2"}
}

func (okta) find(p person) request {
	filter := fmt.Sprintf(`userName eq "%s"`, p.mail)
	return request{
		method: http.MethodGet, path: "/Users?filter=" + url.PathEscape(filter) + "&startIndex=1&count=100",
		shown: "/Users?filter=" + filter + "&startIndex=1&count=100",
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

func (okta) setActive(id string, active bool) (request, error) {
	body, err := json.Marshal(map[string]any{
		"schemas":    []string{patchURN},
		"Operations": []any{map[string]any{"op": "replace", "value": map[string]any{"active": active}}},
	})
	return request{method: http.MethodPatch, path: "/Users/" + id, body: body}, err
}
