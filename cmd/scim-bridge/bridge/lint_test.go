package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/scim"
)

// found lists the codes of acme's findings and the subjects of each.
func found(t *testing.T, s *bridgetest.Stack) map[string]string {
	t.Helper()
	if err := s.Bridge.Linter.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Bridge.Linter.Reports(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, f := range all {
		m[f.Code] = strings.Join(f.Examples, " ")
	}
	return m
}

func TestFindingsOfRequests(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{Client: "entra", Idle: true})
	flag := "?aadOptscim062020"
	ada := s.Must(201, "POST", "/Users"+flag, bridgetest.User("ada@example.com", `"externalId":"ada"`)).ID()
	if diff := cmp.Diff(map[string]string{"entra-external-id": ada}, found(t, s)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	s.Must(200, "PATCH", "/Users/"+ada+flag, bridgetest.PatchOp(`{"op":"replace","path":"externalId","value":"7f4bc1d2-0a55-4d8e-9f2b-6f8b1d7f4a10"}`))
	if diff := cmp.Diff(map[string]string{}, found(t, s)); diff != "" {
		t.Fatalf("after it was corrected (-want +got)\n%s", diff)
	}

	group := func(name, members string) string {
		return `{"schemas":["` + scim.GroupSchema + `"],"displayName":"` + name + `","members":[` + members + `]}`
	}
	inner := s.Must(201, "POST", "/Groups"+flag, group("Inner", "")).ID()
	outer := s.Must(201, "POST", "/Groups"+flag, group("Outer", "")).ID()
	add := func(value string) string {
		return bridgetest.PatchOp(`{"op":"add","path":"members","value":[` + value + `]}`)
	}
	s.Must(400, "PATCH", "/Groups/"+outer+flag, add(`{"value":"`+inner+`"}`))
	s.Must(400, "PATCH", "/Groups/"+inner+flag, add(`{"value":"`+outer+`","type":"Group"}`))
	s.Must(400, "PATCH", "/Groups/"+outer+flag, add(`{"value":"nobody"}`))
	s.Must(400, "POST", "/Users"+flag, `{"schemas":["`+scim.UserSchema+`"],"userName":"bo","name":{"givenName":"Bo","familyName":"B"}}`)
	s.Must(400, "GET", "/Users?aadOptscim062020&filter=shoeSize%20eq%20%2244%22", "")
	for range 2 {
		s.Must(404, "PATCH", "/Users/7f4bc1d2-0a55-4d8e-9f2b-6f8b1d7f4a10"+flag, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`))
	}
	// The owner of organization 113 was there before, in no verified domain.
	owners := s.Must(200, "GET", "/Users?aadOptscim062020&count=1", "")
	owner, _ := owners.JSON("Resources.0.id").(string)
	s.Must(403, "PATCH", "/Users/"+owner+flag, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`))
	nested := inner + " " + outer
	if inner > outer {
		nested = outer + " " + inner
	}
	want := map[string]string{
		"group-nested": nested, "group-before-members": outer, "no-email": "", "filter-refused": "",
		"id-unknown": "7f4bc1d2-0a55-4d8e-9f2b-6f8b1d7f4a10", "account-not-adopted": owner,
	}
	if diff := cmp.Diff(want, found(t, s)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

func TestFindingsOfTheRateLimit(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{Idle: true, Change: func(o *bridge.Options) { o.RateLimit, o.RateBurst = 0.001, 1 }})
	s.Must(200, "GET", "/Schemas", "")
	for range 10 {
		s.Must(http.StatusTooManyRequests, "GET", "/Users", "")
	}
	if diff := cmp.Diff(map[string]string{"rate-limited": ""}, found(t, s)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}
