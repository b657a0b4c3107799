package play

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// What follows an answer is waited for, but not for ever.
func TestSettle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// last is until when something is written, every 400 ms.
		last, want time.Duration
		shown      []string
	}{
		{"nothing follows", 0, 500 * time.Millisecond, nil},
		{"roles follow", time.Second, 1300 * time.Millisecond, []string{"after the answers:", "Viewer → Manager in 113"}},
		{"it does not end", time.Hour, settleMost, []string{"upstream is still being changed after 30s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var out bytes.Buffer
				s := testSession(client(idp.Okta), &out, func(r *http.Request) (int, http.Header, string) {
					n := int64(min(time.Since(start), tt.last) / (400 * time.Millisecond))
					if r.URL.RawQuery == fmt.Sprintf("after=%d", n) {
						return 200, http.Header{}, `{"entries":[]}`
					}
					return 200, http.Header{}, fmt.Sprintf(`{"entries":[{"seq":%d,"operation":"set_role","email":"ada",`+
						`"before":{"account_state":"active","memberships":[{"organization_id":113,"role_id":5}]},`+
						`"after":{"account_state":"active","memberships":[{"organization_id":113,"role_id":3}]}}]}`, n)
				})
				s.print.roles = map[int64]string{3: "Manager", 5: "Viewer"}
				if err := s.settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("took %s, want %s", took, tt.want)
				}
				for _, want := range tt.shown {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%q is not in\n%s", want, out.String())
					}
				}
				if tt.shown == nil && out.Len() > 0 {
					t.Errorf("shown:\n%s", out.String())
				}
			})
		})
	}
}

// The state of a sandbox is read without keeping what nobody asked for.
func TestLook(t *testing.T) {
	t.Parallel()
	sb, err := sandbox.New(sandbox.Options{Control: true, Users: 300, Invites: sandbox.Deferred})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	s := testSession(client(idp.Okta), io.Discard, throughHandler(sb.Handler()))
	client, err := upstream.New(upstream.Options{
		BaseURL: s.SandboxURL, ClientID: "acme", ClientSecret: "acme-secret", Transport: s.HTTP.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ada, bruno := people()[0], people()[1]
	for _, p := range []idp.Person{ada, bruno} {
		in := upstream.InviteUser{Email: strings.ToUpper(p.Mail), FirstName: p.Given, LastName: p.Family, RoleID: 3}
		if _, err := client.InviteUsers(t.Context(), []upstream.InviteUser{in}, []int64{114}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.control(t.Context(), http.MethodPost, "/_sandbox/accept", map[string]string{"email": ada.Mail}, nil); err != nil {
		t.Fatal(err)
	}
	w, err := s.look(t.Context(), people())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.accounts) != 1 || len(w.invites) != 1 || len(w.organizations) != 3 || len(w.roles) != 5 {
		t.Errorf("%d accounts, %d invites, %d organizations, %d roles; want 1, 1, 3, 5", len(w.accounts), len(w.invites), len(w.organizations), len(w.roles))
	}
	for mail, want := range map[string]membership{ada.Mail: {114, 3, "active"}, bruno.Mail: {114, 3, pending}} {
		if got, ok := w.holding(mail, 114); !ok || got != want {
			t.Errorf("%s holds %v, want %v", mail, got, want)
		}
	}
	if got := w.role(3); got.Name != "Manager" || got.Weight != 50 {
		t.Errorf("role 3 is %v", got)
	}
}

func TestLookRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body, want string
		status     int
	}{
		{`[]`, "the state is not a JSON object", 200},
		{`{"accounts":{}}`, "not a list", 200},
		{`{"accounts":[{"email":"a"}`, "unexpected EOF", 200},
		{`no side door`, "answered 404 no side door", 404},
	} {
		s := testSession(client(idp.Okta), io.Discard, func(*http.Request) (int, http.Header, string) { return tt.status, http.Header{}, tt.body })
		if _, err := s.look(t.Context(), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.body, err, tt.want)
		}
	}
}

// throughHandler answers requests by a handler.
func throughHandler(h http.Handler) transport {
	return func(r *http.Request) (int, http.Header, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Header(), w.Body.String()
	}
}
