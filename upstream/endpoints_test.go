package upstream

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEndpointOverrides(t *testing.T) {
	s := &script{replies: []reply{{status: 200, body: accountJSON(7, "a@x.test", "")}}}
	c := newTestClient(t, s, func(o *Options) {
		o.BaseURL = "https://api.test/prefix/"
		o.Endpoints = map[string]string{"deactivate_user": "PUT /v2/members/{id}/disable", "get_user": "GET /v2/members/{id}"}
	})
	for _, call := range []func() error{
		func() error { _, err := c.DeactivateUser(t.Context(), 7, []int64{113}); return err },
		func() error { _, err := c.GetUser(t.Context(), 7); return err },
		func() error { _, err := c.FindUserByEmail(t.Context(), "A@X.test"); return err },
		func() error { return c.RemoveUser(t.Context(), 7, 113) },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`PUT /prefix/v2/members/7/disable {"organization_ids":[113]}`,
		`GET /prefix/v2/members/7`,
		`GET /prefix/users/email/A@X.test`,
		`DELETE /prefix/users/7?organization_id=113`,
	}
	if diff := cmp.Diff(want, s.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestPathArgumentsAreEscaped(t *testing.T) {
	s := &script{replies: []reply{{status: 404, body: errorJSON("not_found")}}}
	c := newTestClient(t, s, nil)
	for _, email := range []string{"a/../b@x.test", "a?b#c@x.test", "a%2fb@x.test", "ü ä@x.test", "a+b@x.test"} {
		if _, err := c.FindUserByEmail(t.Context(), email); !IsNotFound(err) {
			t.Error(err)
		}
	}
	for _, id := range []string{"a/b", "%2e%2e"} {
		if _, err := c.GetInvite(t.Context(), id); !IsNotFound(err) {
			t.Error(err)
		}
	}
	want := []string{
		"GET /users/email/a%2F..%2Fb@x.test", "GET /users/email/a%3Fb%23c@x.test", "GET /users/email/a%252fb@x.test",
		"GET /users/email/%C3%BC%20%C3%A4@x.test", "GET /users/email/a+b@x.test",
		"GET /platform/invites/a%2Fb", "GET /platform/invites/%252e%252e",
	}
	if diff := cmp.Diff(want, s.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestArgumentsThatAreNeverSent(t *testing.T) {
	s := &script{replies: []reply{{status: 200, body: "{}"}}}
	c := newTestClient(t, s, nil)
	ctx := t.Context()
	bad := "\xff"
	for name, err := range map[string]error{
		"no account id":        func() error { _, err := c.GetUser(ctx, 0); return err }(),
		"no e-mail":            func() error { _, err := c.FindUserByEmail(ctx, ".."); return err }(),
		"parent directory":     func() error { _, err := c.GetInvite(ctx, ".."); return err }(),
		"control character":    func() error { _, err := c.ResendInvite(ctx, "inv_\n1"); return err }(),
		"empty invite id":      c.RevokeInvite(ctx, "", nil),
		"revoke from nothing":  c.RevokeInvite(ctx, "inv_1", []int64{}),
		"deactivate nowhere":   func() error { _, err := c.DeactivateUser(ctx, 7, nil); return err }(),
		"activate nowhere":     func() error { _, err := c.ActivateUser(ctx, 7, nil); return err }(),
		"remove from nowhere":  c.RemoveUser(ctx, 7, 0),
		"invite nobody":        func() error { _, err := c.InviteUsers(ctx, nil, []int64{113}); return err }(),
		"invite 101":           func() error { _, err := c.InviteUsers(ctx, make([]InviteUser, 101), []int64{113}); return err }(),
		"invite to nowhere":    func() error { _, err := c.InviteUsers(ctx, make([]InviteUser, 1), nil); return err }(),
		"invalid UTF-8":        func() error { _, err := c.UpdateUser(ctx, 7, Profile{FirstName: &bad}); return err }(),
		"reset nobody's":       c.ResetPassword(ctx, -1, ""),
		"accept without an id": func() error { _, err := c.AcceptInvite(ctx, "a b", 2, "s"); return err }(),
	} {
		if KindOf(err) != Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if calls := s.seen(); len(calls) != 0 {
		t.Errorf("sent %v", calls)
	}
}

func TestOptionFaultsComeAllAtOnce(t *testing.T) {
	tests := []struct {
		name string
		in   Options
		want []string
	}{
		{"everything at once", Options{BaseURL: "ftp://x", Endpoints: map[string]string{
			"get_usr": "GET /x/{id}", "get_user": "FETCH /x/{id}", "set_role": "PUT /x", "list_roles": "GET /{id}", "remove_user": "DELETE x",
			"update_user": "PUT /x/{ID}", "get_invite": "GET /a/../{id}", "resend_invite": "POST /{id}/{id}", "get_me": "GET /me?x=1",
		}}, []string{
			`upstream.base_url: "ftp://x": want http[s]://`,
			`upstream credential: missing`,
			`upstream.endpoints.get_usr: unknown operation (have accept_invite, activate_user,`,
			`upstream.endpoints.get_user: "FETCH /x/{id}": unknown method "FETCH" (have GET, POST, PUT, PATCH, DELETE)`,
			`upstream.endpoints.set_role: "PUT /x": the placeholder {id} must occur once, it occurs 0 times`,
			`upstream.endpoints.list_roles: "GET /{id}": unknown placeholder "{id}" (this operation has none)`,
			`upstream.endpoints.remove_user: "DELETE x": want "METHOD /path"`,
			`upstream.endpoints.update_user: "PUT /x/{ID}": unknown placeholder "{ID}" (have {id}, as a whole segment)`,
			`upstream.endpoints.get_invite: "GET /a/../{id}": the path must not contain the segment ".."`,
			`upstream.endpoints.resend_invite: "POST /{id}/{id}": the placeholder {id} must occur once, it occurs 2 times`,
			`upstream.endpoints.get_me: "GET /me?x=1": the path must not contain`,
		}},
		{"a user in the URL", Options{BaseURL: "https://u:pw-canary@x", APIKey: "k"}, []string{"must not contain a user"}},
		{"a query in the URL", Options{BaseURL: "https://x/?a=b", APIKey: "k"}, []string{"must not contain a user, query"}},
		{"two credentials", Options{BaseURL: "https://x", APIKey: "k", ClientID: "c", ClientSecret: "s"}, []string{"not both"}},
		{"half a credential", Options{BaseURL: "https://x", ClientID: "c"}, []string{"belong together"}},
		{"a header in the key", Options{BaseURL: "https://x", APIKey: "canary\r\nX: y"}, []string{"control character"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.in)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("missing %q in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret in %v", err)
			}
		})
	}
}
