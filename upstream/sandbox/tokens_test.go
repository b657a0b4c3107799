package sandbox

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (w *world) exchange(idToken string) reply {
	return w.form(url.Values{"grant_type": {grantTokenExchange}, "subject_token_type": {typeIDToken}, "subject_token": {idToken}})
}

func (w *world) token(client string) string {
	w.t.Helper()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	w.form(url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client + "-secret"}}).is(200, "").into(&out)
	return out.AccessToken
}

func TestTokensExpireAndAreRevoked(t *testing.T) {
	w := newWorld(t, Options{TokenTTL: time.Minute})
	token := w.token("acme")
	w.do(token, "GET", "/platform/roles", "").is(200, "")
	w.clock.advance(59 * time.Second)
	w.do(token, "GET", "/platform/roles", "").is(200, "")
	w.clock.advance(time.Second)
	w.do(token, "GET", "/platform/roles", "").is(401, "unauthorized")
	token = w.token("acme")
	w.RevokeTokens()
	w.do(token, "GET", "/platform/roles", "").is(401, "unauthorized")
	w.do(w.token("acme"), "GET", "/platform/roles", "").is(200, "")
	w.do(acme, "GET", "/platform/roles", "").is(200, "")
}

func TestTokensAreRefused(t *testing.T) {
	w := newWorld(t, Options{})
	token := w.token("acme")
	head, tail := token[:len(token)-2], token[len(token)-2:]
	for name, bad := range map[string]string{
		"none": "", "an unknown key": "sak_other", "a changed signature": head + strings.ToUpper(tail) + "A",
		"an ID token": tokenPrefix + w.IDToken(Identity{2, "s", ""}), "no signature": strings.Split(token, ".")[0],
	} {
		r := w.do(bad, "GET", "/platform/roles", "")
		equal(t, name, r.status, 401)
		if r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
}

func TestTokenRequests(t *testing.T) {
	w := newWorld(t, Options{})
	person := w.join(acme, "jamie@example.com", 113)
	id := w.IDToken(Identity{1, "jamie", "jamie@example.com"})
	exchange := func(more ...string) url.Values {
		v := url.Values{"grant_type": {grantTokenExchange}, "subject_token_type": {typeIDToken}, "subject_token": {id}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	for _, tc := range []struct {
		name   string
		form   url.Values
		status int
		code   string
	}{
		{"a wrong secret", url.Values{"grant_type": {"client_credentials"}, "client_id": {"acme"}, "client_secret": {"x"}}, 401, "unauthorized"},
		{"an unknown client", url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}, "client_secret": {"x"}}, 401, "unauthorized"},
		{"no client", url.Values{"grant_type": {"client_credentials"}}, 401, "unauthorized"},
		{"another grant", url.Values{"grant_type": {"password"}}, 400, "invalid_request"},
		{"an unknown parameter", url.Values{"grant_type": {"client_credentials"}, "user": {"x"}}, 400, "invalid_request"},
		{"an exchange", exchange(), 200, ""},
		{"an exchange by the client", exchange("client_id", "acme", "client_secret", "acme-secret"), 200, ""},
		{"an exchange by a client that does not see the person", exchange("client_id", "globex", "client_secret", "globex-secret"), 403, "forbidden"},
		{"an exchange of another kind of token", exchange("subject_token_type", typeAccessToken), 400, "invalid_request"},
		{"a forged token", exchange("subject_token", "x.y"), 400, "invalid_request"},
		{"a disabled identity provider", exchange("subject_token", w.IDToken(Identity{4, "jamie", "jamie@example.com"})), 403, "forbidden"},
		{"another identity provider than the account's", exchange("subject_token", w.IDToken(Identity{2, "jamie", "jamie@example.com"})), 403, "forbidden"},
		{"somebody unknown", exchange("subject_token", w.IDToken(Identity{1, "x", "x@example.com"})), 403, "forbidden"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.form(tc.form).is(tc.status, tc.code)
		})
	}
	w.t = t
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("acme", "acme-secret")
	w.send(r).is(200, "")
	if at := w.find("jamie@example.com").LastLoginAt; at == nil || !at.Equal(epoch) {
		t.Errorf("last login: got %v, want %v", at, epoch)
	}
	token := w.signIn(person)
	w.do(acme, "POST", userPath(person)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	w.exchange(id).is(403, "forbidden")
	w.do(token, "GET", "/users/me", "").is(401, "unauthorized")
	w.do(acme, "POST", userPath(person)+"/activate", `{"organization_ids":[113]}`).is(200, "")
	w.do(token, "GET", "/users/me", "").is(401, "unauthorized") // deactivation ended the session for good
}

func TestOwnVerifier(t *testing.T) {
	w := newWorld(t, Options{VerifyIDToken: func(_ context.Context, raw string) (Identity, error) {
		if raw != "good" {
			return Identity{}, errors.New("not signed by us")
		}
		return Identity{2, "00u1", ""}, nil
	}})
	i := w.invite(acme, "jamie@example.com", 113)
	w.exchange("good").is(403, "forbidden")
	w.do(acme, "POST", "/platform/invites/"+i.InviteID+"/accept", `{"IdentityProviderId":2,"Subject":"00u1"}`).is(200, "")
	w.exchange("good").is(200, "")
	w.exchange("bad").is(400, "invalid_request")
}

func TestMe(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "jamie@example.com", 113)
	w.join(acme, "taken@example.com", 113)
	token := w.signIn(a)
	for _, tc := range []struct {
		name, token, method, path, body string
		status                          int
		code                            string
	}{
		{"a client is nobody", acme, "GET", "/users/me", "", 403, "forbidden"},
		{"a person manages nobody", token, "GET", "/users/" + itoa(a.ID), "", 403, "forbidden"},
		{"reads", token, "GET", "/users/me", "", 200, ""},
		{"needs a country", token, "PUT", "/users/me", `{"email":"jamie@example.com","first_name":"J"}`, 422, "invalid_field"},
		{"needs a name", token, "PUT", "/users/me", `{"email":"jamie@example.com","country_id":"CA","first_name":""}`, 422, "invalid_field"},
		{"takes a free address", token, "PUT", "/users/me", `{"email":"j@example.com","country_id":"CA","first_name":"J"}`, 200, ""},
		{"not a taken one", token, "PUT", "/users/me", `{"email":"taken@example.com","country_id":"CA","first_name":"J"}`, 409, "email_taken"},
		{"default needs a value", token, "PUT", "/users/me/default_account", `{}`, 422, "invalid_field"},
		{"default needs a membership", token, "PUT", "/users/me/default_account", `{"organization_id":114}`, 422, "invalid_field"},
		{"default", token, "PUT", "/users/me/default_account", `{"organization_id":113}`, 200, ""},
		{"deletes", token, "DELETE", "/users/me", "", 204, ""},
		{"is gone", token, "GET", "/users/me", "", 401, "unauthorized"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.do(tc.token, tc.method, tc.path, tc.body).is(tc.status, tc.code)
		})
	}
}

func TestRateLimitIsPerCredential(t *testing.T) {
	w := newWorld(t, Options{Rate: 2})
	get := func(token string) reply { return w.do(token, "GET", "/platform/roles", "") }
	get(acme).is(200, "")
	get(acme).is(200, "")
	r := get(acme).is(429, "rate_limited")
	equal(t, "Retry-After", r.header.Get("Retry-After"), "1")
	get(globex).is(200, "")
	w.clock.advance(500 * time.Millisecond)
	get(acme).is(200, "")
	get(acme).is(429, "rate_limited")
	equal(t, "stats", w.Stats(), Stats{Calls: map[string]int64{"list_roles": 6}, RateLimited: 2})
	slow := newWorld(t, Options{Rate: 0.1})
	slow.do(acme, "GET", "/platform/roles", "").is(200, "")
	equal(t, "Retry-After", slow.do(acme, "GET", "/platform/roles", "").is(429, "").header.Get("Retry-After"), "10")
}
