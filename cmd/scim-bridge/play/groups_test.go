package play

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// Of a group that the bridge refuses nothing more is sent, and whoever could
// not be created is no member of one.
func TestPush(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		list   string
		status int
		ids    map[string]string
		want   []string
	}{
		{"a new one", `{"totalResults":0,"Resources":[]}`, 201, map[string]string{"ada.okafor@example.com": "u1"},
			[]string{"GET /Groups", "POST /Groups", "PATCH /Groups/g", "PATCH /Groups/g u1"}},
		{"one that is there", `{"totalResults":1,"Resources":[{"id":"g"}]}`, 0, map[string]string{"ada.okafor@example.com": "u1"},
			[]string{"GET /Groups", "PATCH /Groups/g", "PATCH /Groups/g u1"}},
		{"one that is refused", `{"totalResults":0,"Resources":[]}`, 403, map[string]string{"ada.okafor@example.com": "u1"},
			[]string{"GET /Groups", "POST /Groups"}},
		{"one without members", `{"totalResults":0,"Resources":[]}`, 201, nil, []string{"GET /Groups", "POST /Groups"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			s := testSession(client(idp.Okta), io.Discard, func(r *http.Request) (int, http.Header, string) {
				if r.URL.Host == "sandbox" {
					return 200, http.Header{}, `{"entries":[]}`
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				line := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/scim/v2")
				if bytes.Contains(body, []byte(`"u1"`)) {
					line += " u1"
				}
				got = append(got, line)
				switch r.Method {
				case http.MethodGet:
					return 200, http.Header{}, tt.list
				case http.MethodPost:
					return tt.status, http.Header{}, `{"id":"g"}`
				}
				return 204, http.Header{}, ""
			})
			s.ids = tt.ids
			if err := s.push(t.Context(), groups()[2]); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The people of the groups are people of the play.
func TestGroups(t *testing.T) {
	t.Parallel()
	known := map[string]int{}
	for _, p := range people() {
		known[p.Mail] = 1
	}
	for _, g := range groups() {
		for _, mail := range g.members {
			if known[mail]--; known[mail] != 0 {
				t.Errorf("%s is in %s, and nobody or in another group too", mail, g.Name)
			}
		}
	}
}
