package scim

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// change is a MemberChange as a table can hold it.
type change struct {
	Op     MemberOp
	Values []string
	Filter string
}

func changesOf(p *GroupPatch) []change {
	var list []change
	for _, m := range p.Members {
		c := change{Op: m.Op, Values: m.Values}
		if m.Filter != nil {
			c.Filter = m.Filter.String()
		}
		list = append(list, c)
	}
	return list
}

func TestGroupPatch(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	add := func(values ...string) change { return change{Op: MemberAdd, Values: values} }
	remove := func(values ...string) change { return change{Op: MemberRemove, Values: values} }
	replace := func(values ...string) change { return change{Op: MemberReplace, Values: values} }
	for _, tt := range []struct {
		name    string
		d       Dialect
		ops     string
		display string // "" for unchanged
		members []change
		skipped int
	}{
		{"Entra adds", DialectEntra, `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"},{"$ref":null,"value":"u2"}]}`, "", []change{add("u1", "u2")}, 0},
		{"Entra removes", DialectEntra, `{"op":"Remove","path":"members","value":[{"value":"u1"}]}`, "", []change{remove("u1")}, 0},
		{"Entra renames", DialectEntra, `{"op":"Replace","path":"displayName","value":"new"}`, "new", nil, 0},
		{"Entra replaces", DialectEntra, `{"op":"Replace","path":"members","value":[{"$ref":null,"value":"u1"}]}`, "", []change{replace("u1")}, 0},
		{"Entra removes by the RFC", DialectEntra, `{"op":"remove","path":"members[value eq \"7f4b\"]"}`, "", []change{remove("7f4b")}, 0},
		{"Entra changes several attributes", DialectEntra, `{"op":"replace","value":{"displayName":"B","nope":1}}`, "B", nil, 1},
		{"Okta names the group with every change", DialectOkta, `{"op":"replace","value":{"id":"g","displayName":"X"}}`, "X", nil, 1},
		{"Okta exchanges", DialectOkta, `{"op":"remove","path":"members[value eq \"89bb\"]"},{"op":"add","path":"members","value":[{"value":"23a3","display":"t@okta"}]}`, "", []change{remove("89bb"), add("23a3")}, 0},
		{"Okta pushes now", DialectOkta, `{"op":"replace","path":"members","value":[{"value":"a","display":"A"},{"value":"b","display":null}]}`, "", []change{replace("a", "b")}, 0},
		{"Okta pushes an empty group", DialectOkta, `{"op":"replace","path":"members","value":[]}`, "", []change{replace()}, 0},
		{"Okta without a path", DialectOkta, `{"op":"replace","value":{"members":[],"id":"g","displayName":"g"}}`, "g", []change{replace()}, 1},
		{"JumpCloud adds", DialectJumpCloud, `{"op":"add","path":"members","value":[{"value":"u1"}]}`, "", []change{add("u1")}, 0},
		{"JumpCloud removes", DialectJumpCloud, `{"op":"remove","path":"members","value":[{"value":"u1"}]}`, "", []change{remove("u1")}, 0},
		{"Ping adds one by one", DialectPing, `{"op":"add","path":"members","value":[{"value":"u1"}]},{"op":"add","path":"members","value":[{"value":"u2"}]}`, "", []change{add("u1"), add("u2")}, 0},

		{"an object instead of an array", DialectRFC, `{"op":"add","path":"members","value":{"value":"u1"}},{"op":"remove","path":"members","value":{"value":"u2"}}`, "", []change{add("u1"), remove("u2")}, 0},
		{"a path with the URN", DialectRFC, `{"op":"add","path":"` + GroupSchema + `:members","value":[{"value":"u1"}]},{"op":"remove","path":"` + GroupSchema + `:members[value eq \"u2\"]"}`, "", []change{add("u1"), remove("u2")}, 0},
		{"the URN for a path", DialectRFC, `{"op":"replace","path":"` + GroupSchema + `","value":{"displayName":"X","members":[{"value":"u1"}]}}`, "X", []change{replace("u1")}, 0},
		{"keys with the URN", DialectRFC, `{"op":"add","value":{"` + GroupSchema + `:members":[{"value":"u1"}]}}`, "", []change{add("u1")}, 0},
		{"members in another case", DialectRFC, `{"op":"ADD","path":"Members","value":[{"Value":"u1","TYPE":"USER"}]}`, "", []change{add("u1")}, 0},
		{"add without a path", DialectRFC, `{"op":"add","value":{"members":[{"value":"u1"}]}}`, "", []change{add("u1")}, 0},
		{"a value path for a key", DialectRFC, `{"op":"add","value":{"members[value eq \"u1\"]":{"value":"u1"}}}`, "", []change{add("u1")}, 0},
		{"two by a filter", DialectRFC, `{"op":"remove","path":"members[value eq \"a\" or value eq \"b\" or value eq \"a\"]"}`, "", []change{remove("a", "b")}, 0},
		{"another filter", DialectRFC, `{"op":"remove","path":"members[display sw \"A\"]"}`, "", []change{{Op: MemberRemove, Filter: `members[display sw "A"]`}}, 0},
		{"a negated filter", DialectRFC, `{"op":"remove","path":"` + GroupSchema + `:members[not (value eq \"a\")]"}`, "", []change{{Op: MemberRemove, Filter: GroupSchema + `:members[not (value eq "a")]`}}, 0},
		{"a filter of both", DialectRFC, `{"op":"remove","path":"members[value eq \"a\" and type eq \"User\"]"}`, "", []change{{Op: MemberRemove, Filter: `members[value eq "a" and type eq "User"]`}}, 0},
		{"a filter with a value that says nothing", DialectRFC, `{"op":"remove","path":"members[value eq \"a\"]","value":null}`, "", []change{remove("a")}, 0},
		{"add by a filter", DialectRFC, `{"op":"add","path":"members[value eq \"a\"]","value":{"value":"a","display":"A"}}`, "", []change{add("a")}, 0},
		{"add by a filter of both", DialectRFC, `{"op":"add","path":"members[value eq \"a\" and type eq \"user\"]","value":{"display":"A"}}`, "", []change{add("a")}, 0},
		{"replace by a filter", DialectRFC, `{"op":"replace","path":"members[value eq \"a\"]","value":[{"value":"a"}]}`, "", []change{add("a")}, 0},
		{"clear by a filter", DialectRFC, `{"op":"replace","path":"members[value eq \"a\"]","value":null}`, "", []change{remove("a")}, 0},
		{"add nothing by a filter", DialectRFC, `{"op":"add","path":"members[value eq \"a\"]","value":null}`, "", nil, 0},
		{"remove nobody", DialectRFC, `{"op":"remove","path":"members","value":[]}`, "", nil, 0},
		{"remove everybody", DialectRFC, `{"op":"remove","path":"members"}`, "", []change{replace()}, 0},
		{"add nobody", DialectRFC, `{"op":"add","path":"members","value":[]}`, "", nil, 0},
		{"replace by null", DialectRFC, `{"op":"replace","path":"members","value":null}`, "", []change{replace()}, 0},
		{"somebody twice", DialectRFC, `{"op":"add","path":"members","value":[{"value":"a"},{"value":"a"}]}`, "", []change{add("a")}, 0},
		{"the last name counts", DialectRFC, `{"op":"add","path":"displayName","value":"A"},{"op":"replace","value":{"displayName":"B"}}`, "B", nil, 0},
		{"read-only attributes without a path", DialectRFC, `{"op":"replace","value":{"id":"g","meta":{"version":"1"},"schemas":["x"],"displayName":"X"}}`, "X", nil, 2},
		{"unknown attributes", DialectOkta, `{"op":"add","path":"nope","value":"1"},{"op":"add","path":"members","value":[{"value":"a","nope":1}]}`, "", []change{add("a")}, 2},
		{"unknown attributes of every member are noted once", DialectEntra, `{"op":"add","path":"members","value":[{"value":"a","x":1},{"value":"b","x":1},{"value":"c","x":1}]}`, "", []change{add("a", "b", "c")}, 1},
		{"a sub-attribute without a path", DialectRFC, `{"op":"replace","value":{"displayName":"X","members.value":"a"}}`, "X", nil, 1},
		{"nothing", DialectRFC, ``, "", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := c.DecodePatch(operations(tt.ops), tt.d)
			if err != nil {
				t.Fatal(err)
			}
			display := ""
			if p.DisplayName != nil {
				display = *p.DisplayName
			}
			if display != tt.display || p.ExternalID != nil {
				t.Errorf("displayName %q, want %q; externalId %v", display, tt.display, p.ExternalID)
			}
			if diff := cmp.Diff(tt.members, changesOf(p)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if len(p.Skipped) != tt.skipped {
				t.Errorf("skipped %v, want %d", p.Skipped, tt.skipped)
			}
			if empty := tt.display == "" && tt.members == nil; p.Empty() != empty {
				t.Errorf("empty %v, want %v", p.Empty(), empty)
			}
		})
	}
}

func TestGroupPatchOfTheExternalID(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	for ops, want := range map[string]string{
		`{"op":"Replace","path":"externalId","value":"E"}`:                                               "E",
		`{"op":"replace","value":{"externalId":"E"}}`:                                                    "E",
		`{"op":"replace","path":"externalId","value":""}`:                                                "",
		`{"op":"replace","path":"externalId","value":null}`:                                              "",
		`{"op":"remove","path":"externalId"}`:                                                            "",
		`{"op":"remove","path":"externalId"},{"op":"add","path":"externalId","value":"F"}`:               "F",
		`{"op":"add","path":"externalId","value":"E"},{"op":"remove","path":"externalId","value":"old"}`: "",
	} {
		p, err := c.DecodePatch(operations(ops), DialectRFC)
		if err != nil {
			t.Errorf("%s: %v", ops, err)
			continue
		}
		if p.ExternalID == nil || *p.ExternalID != want || p.Empty() {
			t.Errorf("%s: %v, want %q", ops, p.ExternalID, want)
		}
	}
}

func TestGroupPatchRefuses(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	for _, tt := range []struct {
		body     string
		status   int
		scimType string
		detail   string
	}{
		{`{"op":"remove","path":"displayName"}`, 400, TypeMutability, "displayName is required"},
		{`{"op":"replace","path":"displayName","value":""}`, 400, TypeInvalidValue, "displayName: required"},
		{`{"op":"replace","path":"displayName","value":null}`, 400, TypeInvalidValue, "displayName: required"},
		{`{"op":"replace","value":{"displayName":null}}`, 400, TypeInvalidValue, "displayName: required"},
		{`{"op":"replace","path":"id","value":"x"}`, 400, TypeMutability, "id is readOnly"},
		{`{"op":"replace","path":"meta.version","value":"x"}`, 400, TypeMutability, "meta is readOnly"},
		{`{"op":"replace","path":"members.value","value":"x"}`, 400, TypeMutability, "members.value is immutable"},
		{`{"op":"add","path":"members.value","value":"x"}`, 400, TypeMutability, "members.value is immutable"},
		{`{"op":"remove","path":"members[value eq \"a\"].value"}`, 400, TypeMutability, "members.value is immutable"},
		{`{"op":"replace","path":"members[value eq \"a\"].display","value":"A"}`, 400, TypeMutability, "members.display is readOnly"},
		{`{"op":"add","path":"members[value eq \"a\"].type","value":"User"}`, 400, TypeMutability, "members.type is immutable"},
		{`{"op":"replace","path":"members[value eq \"a\"]","value":{"value":"b"}}`, 400, TypeMutability, "the value of a member cannot be changed"},
		{`{"op":"add","path":"members[display eq \"a\"]","value":{"type":"User"}}`, 400, TypeNoTarget, "does not name the member"},
		{`{"op":"add","path":"members[value eq \"a\" or value eq \"b\"]","value":{"type":"User"}}`, 400, TypeNoTarget, "does not name the member"},
		{`{"op":"add","path":"members[value eq \"a\" and type eq \"Group\"]","value":{"display":"x"}}`, 400, TypeInvalidValue, "nested groups"},
		{`{"op":"add","path":"members[value eq \"a\"]","value":{"value":"a","type":"Group"}}`, 400, TypeInvalidValue, "nested groups"},
		{`{"op":"add","path":"members","value":[{"value":"a"},{"value":"g","type":"Group"}]}`, 400, TypeInvalidValue, "members[1].type: \"Group\""},
		{`{"op":"add","path":"members","value":[{"display":"a"}]}`, 400, TypeInvalidValue, "members[0].value: missing"},
		{`{"op":"add","path":"members","value":"a"}`, 400, TypeInvalidValue, "members: must be an array"},
		{`{"op":"add","path":"members","value":["a"]}`, 400, TypeInvalidValue, "members[0]: must be an object"},
		{`{"op":"add","path":"members"}`, 400, TypeInvalidValue, "value: missing"},
		{`{"op":"remove"}`, 400, TypeNoTarget, "path: missing"},
		{`{"op":"add","path":"nope","value":1}`, 400, TypeInvalidPath, `unknown attribute "nope"`},
		{`{"op":"add","path":"members[value eq","value":1}`, 400, TypeInvalidPath, "Operations[0].path"},
		{`{"op":"remove","path":"members[value gt 1]"}`, 400, TypeInvalidFilter, "Operations[0].path"},
		{`{"op":"add","path":"members","value":[{"value":"a"}]},{"op":"remove","path":"displayName"}`, 400, TypeMutability, "Operations[1]"},
		{`{"op":"remove","path":"` + GroupSchema + `"}`, 400, TypeMutability, "cannot be removed all at once"},
		{strings.TrimSuffix(strings.Repeat(`{"op":"add","path":"displayName","value":"X"},`, 1001), ","), 413, "", "more than 1000"},
	} {
		_, err := c.DecodePatch(operations(tt.body), DialectRFC)
		if err == nil {
			t.Errorf("%s: accepted", tt.body)
			continue
		}
		wantError(t, err, tt.status, tt.scimType, tt.detail)
	}
	_, err := c.DecodePatch([]byte(`{"schemas":["`+patchSchema+`"]}`), DialectRFC)
	wantError(t, err, 400, TypeInvalidSyntax, "Operations: missing")
	for _, tt := range []struct{ without, ops string }{
		{RemoveValueList, `{"op":"remove","path":"members","value":[{"value":"a"}]}`},
		{EmptyOperations, ``},
		{PathlessReadOnlyIgnored, `{"op":"replace","value":{"id":"g","displayName":"X"}}`},
		{OpAnyCase, `{"op":"Add","path":"members","value":[{"value":"a"}]}`},
	} {
		if _, err := c.Without(tt.without).DecodePatch(operations(tt.ops), DialectRFC); err == nil {
			t.Errorf("%s is accepted without %s", tt.ops, tt.without)
		}
	}
}
