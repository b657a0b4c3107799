package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	oktaAgent  = "User-Agent: Okta SCIM Client 1.0.0"
	entraAgent = "User-Agent: Microsoft Azure AD SCIM provisioning 1.2.3"
)

func TestDialects(t *testing.T) {
	entraPatch := strings.ReplaceAll(patchBody, `"replace"`, `"Replace"`)
	type step struct {
		method, target, body string
		headers              []string
		want                 scim.Dialect
	}
	get := func(want scim.Dialect, query string, headers ...string) step {
		return step{"GET", "/scim/v2/Users/user-1" + query, "", headers, want}
	}
	patch := func(want scim.Dialect, body string, headers ...string) step {
		return step{"PATCH", "/scim/v2/Users/user-1", body, headers, want}
	}
	rfc, okta, entra := scim.DialectRFC, scim.DialectOkta, scim.DialectEntra
	tests := []struct {
		name     string
		identity Identity
		steps    []step
		told     []string
	}{
		{"nothing shown", Identity{Client: "auto"}, []step{get(rfc, ""), patch(rfc, patchBody), get(rfc, "", "User-Agent: curl/8")}, nil},
		{"Okta", Identity{Client: "auto"}, []step{get(rfc, ""), get(okta, "", oktaAgent), get(okta, ""), patch(okta, patchBody)}, []string{"okta"}},
		{"Okta, any case", Identity{}, []step{get(okta, "", "User-Agent: okta scim client 2.1")}, []string{"okta"}},
		{"Entra by the flag", Identity{Client: "auto"}, []step{get(entra, "?aadOptscim062020"), get(entra, "")}, []string{"entra"}},
		{"Entra by the flag among others", Identity{Client: "auto"}, []step{get(entra, "?attributes=id&AADOPTSCIM062020=&x=y")}, []string{"entra"}},
		{"Entra by its agent", Identity{Client: "auto"}, []step{get(entra, "", entraAgent)}, []string{"entra"}},
		{"Entra by an operation", Identity{Client: "auto"}, []step{patch(rfc, patchBody), patch(entra, entraPatch), patch(entra, patchBody)}, []string{"entra"}},
		{"evidence of this request wins", Identity{Client: "auto"}, []step{get(okta, "", oktaAgent), get(entra, "?aadOptscim062020"), get(okta, "")}, []string{"okta"}},
		{"remembered", Identity{Client: "auto", Evidence: "entra"}, []step{get(entra, ""), patch(entra, patchBody), get(okta, "", oktaAgent), get(entra, "")}, nil},
		{"fixed", Identity{Client: "jumpcloud"}, []step{get(scim.DialectJumpCloud, "", oktaAgent), get(scim.DialectJumpCloud, "?aadOptscim062020"), patch(scim.DialectJumpCloud, patchBody)}, nil},
		{"fixed to the RFC", Identity{Client: "rfc"}, []step{get(rfc, "?aadOptscim062020", oktaAgent)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told []string
			r := newRig(t, func(o *Options) {
				o.Authenticate = func(req *http.Request) (Identity, error) {
					id := tt.identity
					id.Tenant, id.Credential = "acme", "cred-1"
					if req.Method == "POST" { // the user that the steps are about
						id.Client = "rfc"
					}
					return id, nil
				}
				o.Evidence = func(_ context.Context, credential string, d scim.Dialect) {
					if credential != "cred-1" {
						t.Errorf("evidence for %q", credential)
					}
					told = append(told, d.String())
				}
			}).with(t, 1)
			for i, s := range tt.steps {
				want(t, r.do(t, request(s.method, s.target, s.body, s.headers...)), 200, "")
				if got := r.users.last.caller.Dialect; got != s.want {
					t.Errorf("step %d: %v, want %v", i, got, s.want)
				}
				if got := r.observed[len(r.observed)-1].Dialect; got != s.want {
					t.Errorf("step %d: observed %v", i, got)
				}
			}
			if diff := cmp.Diff(tt.told, told); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCapitalisedOperations(t *testing.T) {
	for body, want := range map[string]bool{
		`{"op":"Add"}`: true, `{"op" : "Replace"}`: true, "{\"op\"\n:\t\"Remove\"}": true,
		`{"op":"add"},{"op":"Remove"}`: true, `{"op":"add"}`: false, `{"op":"REPLACE"}`: false, `{"op":"Adder"}`: false,
		`{"value":"\"op\":\"Add\""}`: false, `{"op"}`: false, `"op":`: false, `"op"`: false, ``: false, `{"op":1,"x":"Add"}`: false,
	} {
		if got := capitalisedOp([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

// I5: what one credential shows says nothing about another.
func TestEvidenceBelongsToTheCredential(t *testing.T) {
	var k recognised
	a, b := Identity{Tenant: "a", Credential: "1"}, Identity{Tenant: "b", Credential: "1"}
	if !k.add(a, scim.DialectOkta) || k.add(a, scim.DialectEntra) {
		t.Error("the first evidence is to be kept")
	}
	if d, ok := k.of(a); !ok || d != scim.DialectOkta {
		t.Errorf("%v %v", d, ok)
	}
	if _, ok := k.of(b); ok {
		t.Error("another tenant's credential is known")
	}
	for i := range 3 * maxRecognised {
		k.add(Identity{Tenant: "t", Credential: fmt.Sprint(i)}, scim.DialectOkta)
		if len(k.dialects) > maxRecognised {
			t.Fatalf("%d credentials are held", len(k.dialects))
		}
	}
}
