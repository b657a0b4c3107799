package sandbox

import (
	"maps"
	"net/url"
	"os"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestContractDescribesEveryOperation(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			described[op.OperationID] = method + " " + path
		}
	}
	served := map[string]string{}
	s := &Sandbox{routes: operations()}
	for _, op := range s.routes {
		served[op.name] = described[op.name]
		if _, ok := described[op.name]; !ok {
			t.Errorf("openapi.yaml lacks %s", op.name)
		}
	}
	equal(t, "operations", described, served)
}

// TestEveryOperation takes two people through the whole API; the contract checks every request and answer.
func TestEveryOperation(t *testing.T) {
	w := newWorld(t, Options{})
	var token struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
	w.form(url.Values{"grant_type": {"client_credentials"}, "client_id": {"acme"}, "client_secret": {"acme-secret"}}).is(200, "").into(&token)
	equal(t, "token type", token.TokenType, "Bearer")
	equal(t, "expiry", token.ExpiresIn, 3600)
	bearer := token.AccessToken

	for _, path := range []string{"/platform/roles", "/platform/identity_providers", "/platform/organizations"} {
		w.do(bearer, "GET", path, "").is(200, "")
	}
	w.do(bearer, "POST", "/platform/invites", `{"Users":[{"Email":"jamie@example.com","FirstName":"Jamie","LastName":"Jackson",
		"CountryId":"CA","OtherId":"00u1","RoleId":5,"IdentityProviderId":2,"ShouldActivateByEmail":false}],"OrganizationIds":[113,114]}`).is(200, "")
	jamie := w.find("jamie@example.com")
	user, invite := "/users/1004", "/platform/invites/"+*jamie.InviteID
	w.do(bearer, "GET", "/platform/invites?state=pending&email=jamie%40example.com&organization_id=113&page=1&page_size=10", "").is(200, "")
	w.do(bearer, "GET", invite, "").is(200, "")
	w.do(bearer, "PUT", invite, `{"FirstName":"James","RoleId":4,"OrganizationIds":[113]}`).is(200, "")
	w.do(bearer, "DELETE", invite, "").is(200, "")
	w.do(bearer, "POST", invite+"/resend", "").is(200, "")
	w.do(bearer, "POST", invite+"/accept", `{"IdentityProviderId":2,"Subject":"00u1"}`).is(200, "")

	person := w.find("jamie@example.com")
	user = "/users/" + itoa(person.ID)
	w.do(bearer, "GET", user, "").is(200, "")
	w.do(bearer, "GET", "/users/email/JAMIE%40example.com", "").is(200, "")
	w.do(bearer, "PUT", user, `{"last_name":"Jones","other_id":null}`).is(200, "")
	w.do(bearer, "PUT", user+"/role", `{"organization_id":114,"role_id":3}`).is(200, "")
	w.do(bearer, "POST", user+"/password_reset", `{}`).is(200, "")
	w.do(bearer, "GET", "/platform/users?organization_id=113&organization_id=114&account_state=active&page=1&page_size=200", "").is(200, "")

	var own struct {
		AccessToken string `json:"access_token"`
	}
	w.form(url.Values{
		"grant_type": {grantTokenExchange}, "subject_token_type": {typeIDToken},
		"subject_token": {w.IDToken(Identity{ProviderID: 2, Subject: "00u1"})},
	}).is(200, "").into(&own)
	w.do(own.AccessToken, "GET", "/users/me", "").is(200, "")
	w.do(own.AccessToken, "PUT", "/users/me", `{"country_id":"CA","email":"jamie@example.com","first_name":"J"}`).is(200, "")
	w.do(own.AccessToken, "PUT", "/users/me/default_account", `{"organization_id":114}`).is(200, "")

	w.do(bearer, "POST", user+"/deactivate", `{"organization_ids":[113,114]}`).is(200, "")
	w.do(bearer, "POST", user+"/activate", `{"organization_ids":[113,114]}`).is(200, "")
	w.do(bearer, "POST", user+"/deactivate", `{"organization_ids":[113,114]}`).is(200, "")
	w.do(bearer, "DELETE", user+"?organization_id=113", "").is(204, "")

	created := w.do(bearer, "POST", "/users", `{"email":"sam@example.com"}`).is(201, "").account()
	w.do(bearer, "PUT", "/users/"+itoa(created.ID)+"/role", `{"organization_id":113,"role_id":5}`).is(200, "")
	w.form(url.Values{
		"grant_type": {grantTokenExchange}, "subject_token_type": {typeIDToken},
		"subject_token": {w.IDToken(Identity{ProviderID: 2, Subject: "sam", Email: "sam@example.com"})},
	}).is(200, "").into(&own)
	w.do(own.AccessToken, "DELETE", "/users/me", "").is(204, "")

	var names []string
	for _, op := range operations() {
		names = append(names, op.name)
	}
	slices.Sort(names)
	equal(t, "operations called", slices.Sorted(maps.Keys(w.Stats().Calls)), names)
}

func TestRequestsAreReadStrictly(t *testing.T) {
	w := newWorld(t, Options{Users: 1})
	person := "/users/1004"
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"an unknown member", "POST", "/users", `{"email":"a@example.com","nick":"x"}`, 400, "invalid_request"},
		{"other casing", "POST", "/users", `{"Email":"a@example.com"}`, 400, "invalid_request"},
		{"a repeated member", "POST", "/users", `{"email":"a@example.com","email":"b@example.com"}`, 400, "invalid_request"},
		{"another type", "POST", "/users", `{"email":1}`, 400, "invalid_request"},
		{"an array", "POST", "/users", `[]`, 400, "invalid_request"},
		{"null", "POST", "/users", `null`, 400, "invalid_request"},
		{"no body", "POST", "/users", ``, 400, "invalid_request"},
		{"a second value", "POST", "/users", `{"email":"a@example.com"} {}`, 400, "invalid_request"},
		{"a body above the limit", "POST", "/users", `{"email":"` + string(make([]byte, maxBody)) + `"}`, 400, "invalid_request"},
		{"no e-mail address", "POST", "/users", `{}`, 422, "invalid_field"},
		{"a name as address", "POST", "/users", `{"email":"jamie"}`, 422, "invalid_field"},
		{"an address with a name", "POST", "/users", `{"email":"J <j@example.com>"}`, 422, "invalid_field"},
		{"a country in small letters", "POST", "/users", `{"email":"a@example.com","country_id":"ca"}`, 422, "invalid_field"},
		{"an unassigned country", "POST", "/users", `{"email":"a@example.com","country_id":"XX"}`, 422, "invalid_field"},
		{"a control character", "POST", "/users", `{"email":"a@example.com","first_name":"a\u0000"}`, 422, "invalid_field"},
		{"an emptied address", "PUT", person, `{"email":null}`, 422, "invalid_field"},
		{"no organizations", "POST", person + "/deactivate", `{"organization_ids":[]}`, 422, "invalid_field"},
		{"no role", "PUT", person + "/role", `{"organization_id":113}`, 422, "invalid_field"},
		{"an unknown role", "PUT", person + "/role", `{"organization_id":113,"role_id":9}`, 422, "invalid_field"},
		{"no organization for a role", "PUT", person + "/role", `{"role_id":5}`, 422, "invalid_field"},
		{"an empty password", "POST", person + "/password_reset", `{"password":""}`, 422, "invalid_field"},
		{"no organization to leave", "DELETE", person, ``, 400, "invalid_request"},
		{"nobody to invite", "POST", "/platform/invites", `{"Users":[],"OrganizationIds":[113]}`, 422, "invalid_field"},
		{"snake case in the other family", "POST", "/platform/invites", `{"users":[{"Email":"a@example.com"}],"OrganizationIds":[113]}`, 400, "invalid_request"},
		{"a page of 201", "GET", "/platform/users?page_size=201", ``, 400, "invalid_request"},
		{"page 0", "GET", "/platform/users?page=0", ``, 400, "invalid_request"},
		{"an unknown state", "GET", "/platform/users?account_state=gone", ``, 400, "invalid_request"},
		{"an unknown parameter", "GET", "/platform/invites?sort=Id", ``, 400, "invalid_request"},
		{"a repeated page", "GET", "/platform/users?page=1&page=2", ``, 400, "invalid_request"},
		{"a query that cannot be read", "GET", "/platform/users?page=%zz", ``, 400, "invalid_request"},
		{"an organization that is no number", "GET", "/platform/users?organization_id=acme", ``, 400, "invalid_request"},
		{"an id that is no number", "GET", "/users/first", ``, 404, "not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := w.State()
			w.t = t
			w.do(acme, tc.method, tc.path, tc.body).is(tc.status, tc.code)
			equal(t, "state", w.State(), before)
		})
	}
	w.t = t
	equal(t, "ledger", w.Ledger(), []Entry{})
}

func TestPathsOutsideTheContract(t *testing.T) {
	w := newWorld(t, Options{})
	w.handler = w.Handler()
	for _, tc := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/users/", 404, ""},
		{"GET", "//users/1001", 404, ""},
		{"GET", "/users/email/", 404, ""},
		{"GET", "/_sandbox/state", 404, ""},
		{"PATCH", "/users/1001", 405, "GET, PUT, DELETE"},
		{"GET", "/oauth/token", 405, "POST"},
	} {
		r := w.do(acme, tc.method, tc.path, "")
		equal(t, tc.method+" "+tc.path, r.status, tc.status)
		equal(t, "Allow of "+tc.path, r.header.Get("Allow"), tc.allow)
		if r.failure().Code == "" {
			t.Errorf("%s %s: no error body: %q", tc.method, tc.path, r.text)
		}
	}
}
