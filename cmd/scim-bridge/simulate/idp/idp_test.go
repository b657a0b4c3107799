package idp

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const patchBody = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`

func client(t testing.TB, name, mode string) Client {
	t.Helper()
	c, err := New(name, mode)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines are requests as "METHOD path body".
func lines(t testing.TB, requests []Request, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range requests {
		out = append(out, strings.TrimSpace(r.Method+" "+r.Path+" "+string(r.Body)))
	}
	return out
}

func one(r Request, err error) ([]Request, error) { return []Request{r}, err }

// What is sent is what the clients' makers publish. The expected texts are
// written from the sources that the encoders name, not from their output.
func TestRequests(t *testing.T) {
	t.Parallel()
	ada := Person{Given: "Ada", Family: "Okafor", Mail: "ada@example.com", Title: "Analyst", Department: "Finance", Phone: "+1 416 555 0101"}
	lind := ada
	lind.Family = "Lind"
	moved := ada
	moved.Mail = "ada.lind@example.com"
	g := Group{Name: "Analysts"}
	two := []Member{{"u1", "a@example.com"}, {"u2", "b@example.com"}}
	read := []byte(`{"id":"7","meta":{"resourceType":"User"},"userName":"ada@example.com","name":{"formatted":"kept by the server"},"groups":[]}`)
	for _, tt := range []struct {
		name         string
		client, mode string
		requests     func(Client) ([]Request, error)
		want         []string
	}{
		{"it tests", Okta, "", func(c Client) ([]Request, error) { return c.Test(), nil },
			[]string{`GET /Users?startIndex=1&count=2`, `GET /Groups?startIndex=1&count=100`}},
		{"it looks up", Okta, "", func(c Client) ([]Request, error) { return one(c.Find("ada@example.com"), nil) },
			[]string{`GET /Users?filter=userName%20eq%20%22ada@example.com%22&startIndex=1&count=100`}},
		{"it updates by what it read", Okta, "", func(c Client) ([]Request, error) { return one(c.Update("7", read, ada, lind)) },
			[]string{`PUT /Users/7 {"displayName":"Ada Lind","groups":[],"id":"7","meta":{"resourceType":"User"},"name":{"familyName":"Lind","givenName":"Ada","middleName":""},"userName":"ada@example.com"}`}},
		{"it renames", Okta, "", func(c Client) ([]Request, error) { return one(c.Update("7", []byte(`{"id":"7"}`), ada, moved)) },
			[]string{`PUT /Users/7 {"displayName":"Ada Okafor","emails":[{"primary":true,"value":"ada.lind@example.com","type":"work"}],"id":"7","name":{"familyName":"Okafor","givenName":"Ada","middleName":""},"userName":"ada.lind@example.com"}`}},
		{"it disables", Okta, "", func(c Client) ([]Request, error) { return one(c.SetActive("7", nil, ada, false)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"replace","value":{"active":false}}]}`}},
		{"the wizard disables", Okta, Wizard, func(c Client) ([]Request, error) { return one(c.SetActive("7", []byte(`{"id":"7"}`), ada, false)) },
			[]string{`PUT /Users/7 {"active":false,"id":"7"}`}},
		{"it looks a group up", Okta, "", func(c Client) ([]Request, error) { return one(c.FindGroup("Analysts"), nil) },
			[]string{`GET /Groups?filter=displayName%20eq%20%22Analysts%22&startIndex=1&count=100`}},
		{"it makes a group", Okta, "", func(c Client) ([]Request, error) { return one(c.CreateGroup(g)) },
			[]string{`POST /Groups {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Analysts","members":[]}`}},
		{"it adds members", Okta, "", func(c Client) ([]Request, error) { return c.AddMembers("g", g, two, two) },
			[]string{
				`PATCH /Groups/g ` + patchBody + `[{"op":"replace","value":{"id":"g","displayName":"Analysts"}}]}`,
				`PATCH /Groups/g ` + patchBody + `[{"op":"add","path":"members","value":[{"value":"u1","display":"a@example.com"},{"value":"u2","display":"b@example.com"}]}]}`,
			}},
		{"it removes a member", Okta, "", func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two[:1], two[1:]) },
			[]string{
				`PATCH /Groups/g ` + patchBody + `[{"op":"replace","value":{"id":"g","displayName":"Analysts"}}]}`,
				`PATCH /Groups/g ` + patchBody + `[{"op":"remove","path":"members[value eq \"u1\"]"}]}`,
			}},
		{"the wizard sends all members", Okta, Wizard, func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two[:1], two[1:]) },
			[]string{`PUT /Groups/g {"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g","displayName":"Analysts","members":[{"value":"u2","display":null}]}`}},

		{"it tests", Entra, "", func(c Client) ([]Request, error) { return c.Test(), nil },
			[]string{`GET /Users?filter=userName+eq+%2251f2b6a3-9d0e-4c1b-8f57-2f6d3b0e9a74%22`}},
		{"it looks up", Entra, "", func(c Client) ([]Request, error) { return one(c.Find("ada@example.com"), nil) },
			[]string{`GET /Users?filter=userName+eq+%22ada%40example.com%22`}},
		{"it looks up with the flag", Entra, Flag, func(c Client) ([]Request, error) { return one(c.Find("ada@example.com"), nil) },
			[]string{`GET /Users?aadOptscim062020&filter=userName+eq+%22ada%40example.com%22`}},
		{"it looks up otherwise", Entra, "", func(c Client) ([]Request, error) { return c.(entra).FindOtherwise(ada), nil },
			[]string{`GET /Users?filter=externalId+eq+%22ada%22`, `GET /Users?filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22ada%40example.com%22`}},
		{"it creates", Entra, "", func(c Client) ([]Request, error) { return one(c.Create(ada)) },
			[]string{`POST /Users {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"ada","userName":"ada@example.com","active":true,` +
				`"displayName":"Ada Okafor","emails":[{"primary":true,"type":"work","value":"ada@example.com"}],"meta":{"resourceType":"User"},"name":{"formatted":"Ada Okafor","familyName":"Okafor","givenName":"Ada"},` +
				`"phoneNumbers":[{"type":"work","value":"+1 416 555 0101"}],"roles":[],"title":"Analyst","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Finance"}}`}},
		{"it updates what differs", Entra, "", func(c Client) ([]Request, error) { return one(c.Update("7", nil, ada, lind)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"Replace","path":"displayName","value":"Ada Lind"},{"op":"Replace","path":"name.formatted","value":"Ada Lind"},{"op":"Replace","path":"name.familyName","value":"Lind"}]}`}},
		{"it renames", Entra, "", func(c Client) ([]Request, error) { return one(c.Update("7", nil, ada, moved)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"Replace","path":"userName","value":"ada.lind@example.com"},{"op":"Replace","path":"emails[type eq \"work\"].value","value":"ada.lind@example.com"}]}`}},
		{"it updates with the flag", Entra, Flag, func(c Client) ([]Request, error) {
			p := moved
			p.Department = "IT"
			return one(c.Update("7", nil, ada, p))
		},
			[]string{`PATCH /Users/7?aadOptscim062020 ` + patchBody + `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"ada.lind@example.com"},` +
				`{"op":"replace","value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"IT","userName":"ada.lind@example.com"}}]}`}},
		{"it disables", Entra, "", func(c Client) ([]Request, error) { return one(c.SetActive("7", nil, ada, false)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"Replace","path":"active","value":"False"}]}`}},
		{"it enables with the flag", Entra, Flag, func(c Client) ([]Request, error) { return one(c.SetActive("7", nil, ada, true)) },
			[]string{`PATCH /Users/7?aadOptscim062020 ` + patchBody + `[{"op":"replace","path":"active","value":true}]}`}},
		{"it looks a group up", Entra, "", func(c Client) ([]Request, error) { return one(c.FindGroup("Analysts"), nil) },
			[]string{`GET /Groups?excludedAttributes=members&filter=displayName+eq+%22Analysts%22`}},
		{"it adds members", Entra, "", func(c Client) ([]Request, error) { return c.AddMembers("g", g, two, two) },
			[]string{
				`GET /Groups/g?excludedAttributes=members`,
				`PATCH /Groups/g ` + patchBody + `[{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"},{"$ref":null,"value":"u2"}]}]}`,
			}},
		{"it removes a member", Entra, "", func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two[:1], two[1:]) },
			[]string{
				`GET /Groups?attributes=id&filter=id+eq+%22g%22+and+members+eq+%22u1%22`,
				`PATCH /Groups/g ` + patchBody + `[{"op":"Remove","path":"members","value":[{"value":"u1"}]}]}`,
			}},
		{"it removes a member with the flag", Entra, Flag, func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two[:1], two[1:]) },
			[]string{
				`GET /Groups?aadOptscim062020&attributes=id&filter=id+eq+%22g%22+and+members+eq+%22u1%22`,
				`PATCH /Groups/g?aadOptscim062020 ` + patchBody + `[{"op":"remove","path":"members[value eq \"u1\"]"}]}`,
			}},
		{"it renames a group", Entra, "", func(c Client) ([]Request, error) { return one(c.RenameGroup("g", g, two)) },
			[]string{`PATCH /Groups/g ` + patchBody + `[{"op":"Replace","path":"displayName","value":"Analysts"}]}`}},
		{"it sets what only it sets", Entra, "", func(c Client) ([]Request, error) {
			e := c.(entra)
			manager, err := e.SetManager("7", "8")
			if err != nil {
				return nil, err
			}
			mobile, err := e.SetMobile("7", "+1")
			if err != nil {
				return nil, err
			}
			nothing, err := e.ChangeNothing("7")
			return []Request{manager, mobile, nothing}, err
		},
			[]string{
				`PATCH /Users/7 ` + patchBody + `[{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"8"}]}`,
				`PATCH /Users/7 ` + patchBody + `[{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+1"}]}`,
				`PATCH /Users/7 ` + patchBody + `[]}`,
			}},

		{"it creates by the template", OneLogin, "", func(c Client) ([]Request, error) { return one(c.Create(ada)) },
			[]string{`POST /Users {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"userName":"ada@example.com",` +
				`"name":{"givenName":"Ada","familyName":"Okafor"},"emails":[{"type":"work","value":"ada@example.com"}],"displayName":"Ada Okafor","id":null,"title":"Analyst",` +
				`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Finance"},"active":"true"}`}},
		{"it disables by the template", OneLogin, "", func(c Client) ([]Request, error) { return one(c.SetActive("7", nil, Person{Mail: "x@y"}, false)) },
			[]string{`PUT /Users/7 {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"userName":"x@y",` +
				`"name":{"givenName":"","familyName":""},"emails":[{"type":"work","value":"x@y"}],"displayName":" ","id":"7","title":"",` +
				`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":""},"active":"false"}`}},
		{"it removes members", OneLogin, "", func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two, nil) },
			[]string{`PATCH /Groups/g ` + patchBody + `[{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"remove","path":"members[value eq \"u2\"]"}]}`}},

		{"it updates one operation an attribute", JumpCloud, "", func(c Client) ([]Request, error) { return one(c.Update("7", nil, ada, lind)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"replace","path":"name.givenName","value":"Ada"},{"op":"replace","path":"name.familyName","value":"Lind"},{"op":"replace","path":"displayName","value":"Ada Lind"}]}`}},
		{"it disables", JumpCloud, "", func(c Client) ([]Request, error) { return one(c.SetActive("7", nil, ada, false)) },
			[]string{`PATCH /Users/7 ` + patchBody + `[{"op":"replace","path":"active","value":false}]}`}},
		{"it adds members one by one", JumpCloud, "", func(c Client) ([]Request, error) { return c.AddMembers("g", g, two, two) },
			[]string{
				`PATCH /Groups/g ` + patchBody + `[{"op":"add","path":"members","value":[{"value":"u1"}]}]}`,
				`PATCH /Groups/g ` + patchBody + `[{"op":"add","path":"members","value":[{"value":"u2"}]}]}`,
			}},
		{"it removes a member", JumpCloud, "", func(c Client) ([]Request, error) { return c.RemoveMembers("g", g, two[:1], two[1:]) },
			[]string{`PATCH /Groups/g ` + patchBody + `[{"op":"remove","path":"members","value":[{"value":"u1"}]}]}`}},
	} {
		t.Run(tt.client+tt.mode+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			requests, err := tt.requests(client(t, tt.client, tt.mode))
			if d := cmp.Diff(tt.want, lines(t, requests, err)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Okta's create is the one of its reference: a password always, and no type on
// anything that it has none for.
func TestOktaCreates(t *testing.T) {
	t.Parallel()
	r, err := okta{}.Create(Person{Given: "T", Family: "U", Mail: "t@okta.local"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got["externalId"].(string)
	password, _ := got["password"].(string)
	if len(id) != 20 || !strings.HasPrefix(id, "00u") || password == "" {
		t.Errorf("externalId %q, password of %d characters", id, len(password))
	}
	delete(got, "externalId")
	delete(got, "password")
	want := map[string]any{
		"schemas": []any{userURN}, "userName": "t@okta.local", "name": map[string]any{"givenName": "T", "familyName": "U"},
		"emails":      []any{map[string]any{"primary": true, "value": "t@okta.local", "type": "work"}},
		"displayName": "T U", "locale": "en-US", "groups": []any{}, "active": true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A group's object id stays when its name changes.
func TestEntraGroups(t *testing.T) {
	t.Parallel()
	var ids []any
	for _, name := range []string{"Analysts", "Analysts 2"} {
		r, err := entra{}.CreateGroup(Group{Name: name, Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(r.Body, &got); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, got["externalId"])
		delete(got, "externalId")
		want := map[string]any{"schemas": []any{groupURN, adscimURN}, "displayName": name, "meta": map[string]any{"resourceType": "Group"}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	if ids[0] != ids[1] || len(ids[0].(string)) != 36 {
		t.Error(ids)
	}
	requests, err := entra{}.AddMembers("g", Group{}, make([]Member, 12), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, r := range requests[1:] {
		got = append(got, strings.Count(string(r.Body), `"$ref"`))
	}
	if d := cmp.Diff([]int{5, 5, 2}, got); d != "" {
		t.Error(d)
	}
}

// Whatever an id or a name has in it stays one segment and one text.
func TestForeignTexts(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		for _, mode := range Modes(name) {
			c := client(t, name, mode)
			r, err := c.SetActive("../a?b#c d/%2e", []byte(`{}`), Person{}, false)
			if err != nil || !strings.HasPrefix(r.Path, "/Users/..%2Fa%3Fb%23c%20d%2F%252e") {
				t.Errorf("%s: %q, %v", name, r.Path, err)
			}
			hr, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/scim"+c.Find(`a"b\c&d=e+f g`).Path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if got := hr.URL.Query().Get("filter"); got != `userName eq "a\"b\\c&d=e+f g"` {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	for _, body := range []string{`null`, `[]`, `7`, ``, `{`} {
		if _, err := (okta{}).Update("7", []byte(body), Person{}, Person{}); err == nil {
			t.Errorf("%q was taken for a resource", body)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, mode, want string }{
		{"octa", "", `unknown client "octa": use okta, entra, onelogin, jumpcloud`},
		{"okta", "flag", `client okta has no mode "flag": use catalogue, wizard`},
		{"entra", "wizard", `client entra has no mode "wizard": use flag`},
		{"jumpcloud", "flag", `client jumpcloud has no modes: leave "flag" out`},
	} {
		if _, err := New(tt.name, tt.mode); err == nil || err.Error() != tt.want {
			t.Errorf("%s %s: %v", tt.name, tt.mode, err)
		}
	}
}
