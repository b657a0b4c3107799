package scim

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func newGroupCodec(t testing.TB) *GroupCodec {
	t.Helper()
	c, err := NewGroupCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// groupBody lets tests write a Group without its schemas.
func groupBody(attributes string) []byte {
	return []byte(`{"schemas":["` + GroupSchema + `"],` + attributes + `}`)
}

func TestDecodeGroup(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	for _, tt := range []struct {
		name, body string
		want       Group
		notes      int
	}{
		{"Entra's create", `{"schemas":["` + GroupSchema + `","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1","displayName":"X","meta":{"resourceType":"Group"}}`,
			Group{ExternalID: "8aa1", DisplayName: "X"}, 2},
		{"Okta's create", `{"schemas":["` + GroupSchema + `"],"displayName":"X","members":[]}`, Group{DisplayName: "X", Members: []Member{}}, 0},
		{"Okta's replace", `{"schemas":["` + GroupSchema + `"],"id":"g","displayName":"X","members":[{"value":"u","display":null}]}`,
			Group{DisplayName: "X", Members: []Member{{Value: "u"}}}, 1},
		{"Ping's", `{"displayName":"X","members":[{"value":"u"},{"value":"v"}]}`, Group{DisplayName: "X", Members: []Member{{Value: "u"}, {Value: "v"}}}, 0},
		{"members that are absent", `{"displayName":"X"}`, Group{DisplayName: "X"}, 0},
		{"members that are null", `{"displayName":"X","members":null}`, Group{DisplayName: "X"}, 0},
		{"whatever else a client knows of a member", `{"displayName":"X","members":[{"VALUE":"u","$ref":null,"type":"user","display":"Ada","primary":true},{"value":"v","$ref":"../Users/v","type":null,"primary":true}]}`,
			Group{DisplayName: "X", Members: []Member{{Value: "u", Type: "user"}, {Value: "v"}}}, 1},
		{"somebody twice", `{"displayName":"X","members":[{"value":"u"},{"value":"v"},{"value":"u"},{"value":"U"}]}`,
			Group{DisplayName: "X", Members: []Member{{Value: "u"}, {Value: "v"}, {Value: "U"}}}, 0},
		{"an escaped value", `{"displayName":"X","members":[{"value":"\u0075\/1"}]}`, Group{DisplayName: "X", Members: []Member{{Value: "u/1"}}}, 0},
		{"a byte order mark", "\xef\xbb\xbf" + `{"displayName":"X","members":[{"value":"u"}]}`, Group{DisplayName: "X", Members: []Member{{Value: "u"}}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, notes, err := c.Decode([]byte(tt.body), DialectRFC)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, g); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(notes) != tt.notes {
				t.Errorf("%d notes, want %d: %v", len(notes), tt.notes, notes)
			}
		})
	}
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	for name, refusal := range map[string]string{
		`Managers`: "", `👩‍💻 Devs`: "", `a/b`: "", `R\u0026D <script>`: "", `...`: "", `=cmd()`: "", strings.Repeat("é", 256): "",
		``: "required", ` `: "begins with a space", ` a`: "begins with a space", "a\u00a0": "ends with a space",
		`a\u0000b`: "U+0000", `a\nb`: "U+000A", `a\u007fb`: "U+007F", `a\u0085b`: "U+0085", `a\u2028b`: "U+2028",
		`../`: "looks like a path", `x/../../etc`: "looks like a path", `..`: "looks like a path", strings.Repeat("a", 257): "257 characters",
	} {
		for what, err := range map[string]error{
			"decode": func() error { _, _, err := c.Decode(groupBody(`"displayName":"`+name+`"`), DialectOkta); return err }(),
			"patch": func() error {
				_, err := c.DecodePatch(operations(`{"op":"replace","path":"displayName","value":"`+name+`"}`), DialectOkta)
				return err
			}(),
		} {
			if refusal == "" {
				if err != nil {
					t.Errorf("%s %q: %v", what, name, err)
				}
				continue
			}
			wantError(t, err, 400, TypeInvalidValue, refusal)
		}
	}
}

func TestDecodeGroupRefuses(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	for _, tt := range []struct{ body, scimType, detail string }{
		{`{}`, TypeInvalidValue, "displayName: required"},
		{`{"displayName":null}`, TypeInvalidValue, "displayName: required"},
		{`{"displayName":7}`, TypeInvalidValue, "displayName: must be a string"},
		{`{"schemas":["` + UserSchema + `"],"displayName":"X"}`, TypeInvalidValue, "schemas: lacks"},
		{`{"displayName":"X","members":{"value":"u"}}`, TypeInvalidValue, "members: must be an array, found an object"},
		{`{"displayName":"X","members":"u"}`, TypeInvalidValue, "members: must be an array, found a string"},
		{`{"displayName":"X","members":["u"]}`, TypeInvalidValue, "members[0]: must be an object, found a string"},
		{`{"displayName":"X","members":[{"value":"u"},null]}`, TypeInvalidValue, "members[1]: must be an object, found null"},
		{`{"displayName":"X","members":[{"value":"u"},{}]}`, TypeInvalidValue, "members[1].value: missing or empty"},
		{`{"displayName":"X","members":[{"value":""}]}`, TypeInvalidValue, "members[0].value: missing or empty"},
		{`{"displayName":"X","members":[{"value":null}]}`, TypeInvalidValue, "members[0].value: missing or empty"},
		{`{"displayName":"X","members":[{"value":1}]}`, TypeInvalidValue, "members[0].value: must be a string, found a number"},
		{`{"displayName":"X","members":[{"value":"u\u0000"}]}`, TypeInvalidValue, "members[0].value: the character U+0000"},
		{`{"displayName":"X","members":[{"value":"` + strings.Repeat("u", 257) + `"}]}`, TypeInvalidValue, "members[0].value: 257 characters"},
		{`{"displayName":"X","members":[{"value":"u","type":"Group"}]}`, TypeInvalidValue, `members[0].type: "Group" cannot be a member, only a User can: nested groups are not supported`},
		{`{"displayName":"X","members":[{"value":"u","VALUE":"v"}]}`, TypeInvalidSyntax, "members[0].value: given twice"},
		{`{"displayName":"X","members":[{"value":"u","value":"v"}]}`, TypeInvalidSyntax, `"value" twice`},
		{`{"displayName":"X","members":[{"value":"u"}`, TypeInvalidSyntax, "ends too early"},
		{`{"displayName":"X","members":[{"value":"u`, TypeInvalidSyntax, "ends too early"},
		{`{"displayName":"X","members":[{"value":"\ud800"}]}`, TypeInvalidSyntax, "not valid JSON"},
		{`{"displayName":"X","members":[{"value":"u"} {"value":"v"}]}`, TypeInvalidSyntax, "not valid JSON"},
		{`{"displayName":"X","members":[{"value":"u","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}]}`, TypeInvalidSyntax, "nested more than"},
	} {
		_, _, err := c.Decode([]byte(tt.body), DialectEntra)
		if err == nil {
			t.Errorf("%s: accepted", tt.body)
			continue
		}
		wantError(t, err, 400, tt.scimType, tt.detail)
	}
}

func TestManyMembersAreRead(t *testing.T) {
	c := newGroupCodec(t)
	body := manyMembers(10_000)
	g, _, err := c.Decode(body, DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Members) != 10_000 || g.Members[9_999].Value != fmt.Sprintf(memberID, 9_999) {
		t.Errorf("%d members", len(g.Members))
	}
	allocs := testing.AllocsPerRun(3, func() { _, _, err = c.Decode(body, DialectRFC) })
	if err != nil || allocs > 200 {
		t.Errorf("%v allocations for 10,000 members, at most 200 are to be needed (%v)", allocs, err)
	}
	p, err := c.DecodePatch(operations(`{"op":"add","path":"members","value":`+string(body[strings.Index(string(body), "["+`{"value"`):len(body)-1])+`}`), DialectRFC)
	if err != nil || len(p.Members) != 1 || len(p.Members[0].Values) != 10_000 {
		t.Errorf("patch %v, %v", p, err)
	}
	twice := groupBody(`"displayName":"X","members":[` + strings.TrimSuffix(strings.Repeat(`{"value":"u"},{"value":"v"},`, 100), ",") + `]`)
	if g, _, err := c.Decode(twice, DialectRFC); err != nil || len(g.Members) != 2 {
		t.Errorf("%d members of two, %v", len(g.Members), err)
	}
}

// memberID is as long as a real one.
const memberID = "2819c223-7f76-453a-919d-%012d"

// manyMembers is the body of a POST of a group with n members.
func manyMembers(n int) []byte {
	b := []byte(`{"schemas":["` + GroupSchema + `"],"displayName":"Everybody","members":[`)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"value":"`+memberID+`","display":"person%d@example.com"}`, i, i)
	}
	return append(b, "]}"...)
}

func TestGroupFilters(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	g := &Group{ID: "g1", ExternalID: "E1", DisplayName: "Managers", Members: []Member{{Value: "u1", Type: "User", Display: "Ada"}, {Value: "u2", Type: "User"}}}
	for _, tt := range []struct {
		filter string
		want   bool
		terms  []EqualTerm // nil: it is no conjunction of eq
		member bool        // it mentions members
	}{
		{`displayName eq "MANAGERS"`, true, []EqualTerm{{"displayName", "MANAGERS"}}, false},
		{`displayName eq "Manager"`, false, []EqualTerm{{"displayName", "Manager"}}, false},
		{`externalId eq "E1"`, true, []EqualTerm{{"externalId", "E1"}}, false},
		{`externalId eq "e1"`, false, []EqualTerm{{"externalId", "e1"}}, false},
		{`members.value eq "u1"`, true, []EqualTerm{{"members.value", "u1"}}, true},
		{`members eq "u2"`, true, []EqualTerm{{"members.value", "u2"}}, true},
		{`members eq "U2"`, false, []EqualTerm{{"members.value", "U2"}}, true},
		{`members[value eq "u1"]`, true, []EqualTerm{{"members.value", "u1"}}, true},
		{`id eq "g1" and members eq "u1"`, true, []EqualTerm{{"id", "g1"}, {"members.value", "u1"}}, true},
		{`members eq "u9" and id eq "g1"`, false, []EqualTerm{{"members.value", "u9"}, {"id", "g1"}}, true},
		{GroupSchema + `:members eq "u1" and (displayName eq "managers" and id eq "g1")`, true, []EqualTerm{{"members.value", "u1"}, {"displayName", "managers"}, {"id", "g1"}}, true},
		{`members[value eq "u2" and display eq "Ada"]`, false, nil, true},
		{`members.value eq "u2" and members.display eq "ada"`, true, []EqualTerm{{"members.value", "u2"}, {"members.display", "ada"}}, true},
		{`displayName sw "man"`, true, nil, false},
		{`displayName eq "x" or members pr`, true, nil, true},
		{`not (members eq "u1")`, false, nil, true},
		{`id eq null`, false, nil, false},
		{`id ne "g1"`, false, nil, false},
		{`meta.created lt "2026-01-01T00:00:00Z" and id eq "g1"`, false, nil, false},
	} {
		f, err := c.ParseFilter(tt.filter, DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := c.Match(f, g); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.filter, got, tt.want)
		}
		terms, ok := f.Equals()
		if diff := cmp.Diff(tt.terms, terms); diff != "" || ok != (tt.terms != nil) {
			t.Errorf("%s: terms %v (-want +got):\n%s", tt.filter, ok, diff)
		}
		if got := f.Mentions("members"); got != tt.member {
			t.Errorf("%s: mentions members: %v", tt.filter, got)
		}
	}
}

func TestFilterMentions(t *testing.T) {
	t.Parallel()
	u, g := newCodec(t), newGroupCodec(t)
	filter := func(s string) *Filter {
		f, err := u.ParseFilter(s, DialectRFC)
		if err != nil {
			if f, err = g.ParseFilter(s, DialectRFC); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	for _, tt := range []struct {
		filter, path string
		want         bool
	}{
		{`groups eq "g"`, "groups", true},
		{`groups eq "g"`, "GROUPS.value", true},
		{`groups eq "g"`, "groups.display", false},
		{`groups pr`, "groups.display", true},
		{`userName eq "u" or groups.value eq "g"`, "groups", true},
		{`name.givenName pr`, "name", true},
		{`not (title pr)`, "title", true},
		{`members[display eq "x"]`, "members.display", true},
		{`members[value eq "x"]`, "members.display", false},
		{EnterpriseUserSchema + `:department eq "x"`, EnterpriseUserSchema, true},
		{EnterpriseUserSchema + `:department eq "x"`, testURN, false},
		{`userName eq "u"`, "groups", false},
	} {
		if got := filter(tt.filter).Mentions(tt.path); got != tt.want {
			t.Errorf("%s mentions %s: %v, want %v", tt.filter, tt.path, got, tt.want)
		}
	}
}

func TestAppendMember(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	const refs = "https://x/Users/"
	full := Member{Value: "u1", Type: "User", Display: `A "B"`}
	for _, tt := range []struct {
		name                 string
		m                    Member
		attributes, excluded string
		want                 string
	}{
		{"everything", full, "", "", `{"value":"u1","$ref":"https://x/Users/u1","type":"User","display":"A \"B\""}`},
		{"what is known", Member{Value: "u1"}, "", "", `{"value":"u1","$ref":"https://x/Users/u1"}`},
		{"its own $ref", Member{Value: "u1", Ref: "../u1"}, "", "", `{"value":"u1","$ref":"../u1"}`},
		{"a strange value", Member{Value: `u"1`}, "", "", `{"value":"u\"1","$ref":"https://x/Users/u\"1"}`},
		{"members by name", full, "members", "", `{"value":"u1","$ref":"https://x/Users/u1","type":"User","display":"A \"B\""}`},
		{"one sub-attribute", full, "members.value", "", `{"value":"u1"}`},
		{"another sub-attribute", full, "id,members.$ref", "", `{"$ref":"https://x/Users/u1"}`},
		{"all but one", full, "", "members.display", `{"value":"u1","$ref":"https://x/Users/u1","type":"User"}`},
		{"nothing", full, "", "members", ``},
		{"nothing that it has", Member{Value: "u1"}, "members.display", "", ``},
	} {
		p, err := c.ParseProjection(tt.attributes, tt.excluded)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(c.AppendMember([]byte("["), &tt.m, refs, p)); got != "["+tt.want {
			t.Errorf("%s: %s, want [%s", tt.name, got, tt.want)
		}
	}
}

// TestStoredGroupsAreReadBack: members are written and read like every other
// attribute where a group is small enough to hold.
func TestStoredGroupsAreReadBack(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	g := &Group{ExternalID: "e", DisplayName: "X", Members: []Member{{Value: "u1", Type: "User"}, {Value: "u2"}}}
	back, err := c.Load(c.AppendFull(nil, g))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := c.Load([]byte(`{"displayName":"X","members":[{"value":7}]}`)); !errors.As(err, new(*Error)) {
		t.Errorf("a number as a value: %v", err)
	}
}
