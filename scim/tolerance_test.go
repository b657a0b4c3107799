package scim

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTolerances proves of each tolerance that a client's request needs it:
// the request is taken with it, and refused, or taken otherwise, without.
func TestTolerances(t *testing.T) {
	c := newCodec(t)
	user := func(body string) func(*Codec[User], Dialect) (string, error) {
		return func(c *Codec[User], d Dialect) (string, error) {
			u, _, err := c.Decode([]byte(expand(body)), d)
			if err != nil {
				return "", err
			}
			return string(c.Append(nil, u, Projection{})), nil
		}
	}
	patch := func(ops string) func(*Codec[User], Dialect) (string, error) {
		return func(c *Codec[User], d Dialect) (string, error) {
			p, err := c.DecodePatch(operations(expand(ops)), d)
			if err != nil {
				return "", err
			}
			u, _, err := c.Apply(p, before())
			if err != nil {
				return "", err
			}
			return string(c.Append(nil, u, Projection{})), nil
		}
	}
	filter := func(s string) func(*Codec[User], Dialect) (string, error) {
		return func(c *Codec[User], d Dialect) (string, error) {
			f, err := c.ParseFilter(s, d)
			if err != nil {
				return "", err
			}
			return f.String(), nil
		}
	}
	tests := map[string]struct {
		d   Dialect
		run func(*Codec[User], Dialect) (string, error)
	}{
		ByteOrderMark: {DialectRFC, user("\xef\xbb\xbf" + `{` + coreURN + `,"userName":"a"}`)},
		SchemasAbsent: {DialectRFC, func(c *Codec[User], d Dialect) (string, error) {
			_, err := c.DecodePatch([]byte(`{"Operations":[]}`), d)
			_, _, err2 := c.Decode([]byte(`{"schemas":[],"userName":"a"}`), d)
			if err == nil || err2 == nil {
				return fmt.Sprint(err, err2), nil
			}
			return "", err
		}},
		ForeignSchemas:               {DialectRFC, user(`{"schemas":["CORE","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"userName":"a"}`)},
		ExtensionUnlisted:            {DialectRFC, user(`{` + coreURN + `,"userName":"a","EXT":{"countryCode":"CA"}}`)},
		UnknownAttributeDropped:      {DialectRFC, user(`{` + coreURN + `,"userName":"a","x":1}`)},
		StringBooleans:               {DialectRFC, patch(`{"op":"replace","path":"active","value":"False"}`)},
		EmptyStringClears:            {DialectRFC, patch(`{"op":"replace","path":"displayName","value":""}`)},
		ManagerString:                {DialectRFC, patch(`{"op":"add","path":"ENT:manager","value":"m2"}`)},
		OpAnyCase:                    {DialectRFC, patch(`{"op":"Replace","path":"title","value":"T"}`)},
		EmptyOperations:              {DialectRFC, patch(``)},
		ExtensionAttributeWithoutURN: {DialectEntra, filter(`id eq "G" and manager eq "M"`)},
		ManagerArray:                 {DialectEntra, patch(`{"op":"add","path":"ENT:manager","value":[{"value":"m2"}]}`)},
		PathlessDottedKeys:           {DialectRFC, patch(`{"op":"replace","value":{"name.givenName":"K"}}`)},
		PathlessReadOnlyIgnored:      {DialectRFC, patch(`{"op":"replace","value":{"id":"1","displayName":"K"}}`)},
		AddNoMatchCreates:            {DialectRFC, patch(`{"op":"add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`)},
		RemoveNoMatchSucceeds:        {DialectRFC, patch(`{"op":"remove","path":"phoneNumbers[type eq \"work\"]"}`)},
		RemoveValueIgnored:           {DialectRFC, patch(`{"op":"remove","path":"displayName","value":"J"}`)},
		FilterSubAttribute:           {DialectRFC, filter(`emails[type eq "work"].value eq "a@b.cc"`)},
		RemoveValueList:              {DialectRFC, patch(`{"op":"remove","path":"emails","value":[{"value":"joy@home.example"}]}`)},
		ReplaceNoMatchCreates:        {DialectEntra, patch(`{"op":"replace","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`)},
		UnknownAttributeSkipped:      {DialectOkta, patch(`{"op":"replace","path":"nope","value":"1"},{"op":"replace","path":"active","value":false}`)},
		RolesJSONString:              {DialectEntra, patch(`{"op":"add","path":"roles","value":[{"value":"{\"value\":\"Admin\"}"}]}`)},
		UnquotedFilterValue:          {DialectEntra, filter(`externalId eq jyoung`)},
		JunkPrimaryDropped:           {DialectEntra, user(`{` + coreURN + `,"userName":"a","phoneNumbers":[{"value":"1","primary":"X7Q"}]}`)},
		OneLoginEmailsObject:         {DialectOneLogin, user(`{` + coreURN + `,"userName":"a","emails":{"value":"a@b.cc"}}`)},
		OneLoginManagerID:            {DialectOneLogin, user(`{` + coreURN + `,"userName":"a","ENT":{"manager":{"managerId":"m"}}}`)},
		OneLoginStringIntegers:       {DialectOneLogin, user(`{` + coreURN + `,"userName":"a","EXT":{"defaultOrganizationId":"113"}}`)},
		OneLoginV1Schemas:            {DialectOneLogin, user(`{"schemas":["urn:scim:schemas:core:1.0","urn:scim:schemas:extension:enterprise:1.0"],"userName":"a","urn:scim:schemas:extension:enterprise:1.0":{"department":"D"}}`)},
	}
	for _, id := range toleranceIDs {
		t.Run(id, func(t *testing.T) {
			tt, ok := tests[id]
			if !ok {
				t.Fatal("no request proves it")
			}
			with, err := tt.run(c, tt.d)
			if err != nil {
				t.Fatalf("with it: %v", err)
			}
			without, err := tt.run(c.Without(id), tt.d)
			if err == nil && with == without {
				t.Errorf("the request needs it not: %s", with)
			}
			if want, _ := ParseTolerances(id); !tt.d.Tolerances().Has(want) {
				t.Errorf("%s lacks it", tt.d)
			}
		})
	}
	if len(tests) != len(toleranceIDs) {
		t.Errorf("%d tests for %d tolerances", len(tests), len(toleranceIDs))
	}
}

// TestDialects is the table of who tolerates what beyond the others.
func TestDialects(t *testing.T) {
	for d, want := range map[Dialect][]string{
		DialectRFC: nil, DialectJumpCloud: nil, DialectPing: nil,
		DialectEntra:    {ReplaceNoMatchCreates, ExtensionAttributeWithoutURN, ManagerArray, UnknownAttributeSkipped, RolesJSONString, UnquotedFilterValue, JunkPrimaryDropped},
		DialectOkta:     {UnknownAttributeSkipped},
		DialectOneLogin: {OneLoginEmailsObject, OneLoginManagerID, OneLoginV1Schemas, OneLoginStringIntegers},
	} {
		if !d.Tolerances().Has(anyTolerances) {
			t.Errorf("%s lacks what everybody has", d)
		}
		if diff := cmp.Diff(want, (d.Tolerances() &^ anyTolerances).IDs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d, diff)
		}
	}
}

// TestPathlessKeysOfTheRFC: a URN makes an attribute's full name, and an
// extension is an object under its URN (RFC 7644 §3.10, RFC 7643 §3.3); that
// is no departure.
func TestPathlessKeysOfTheRFC(t *testing.T) {
	c := newCodec(t).Without(toleranceIDs[:]...)
	p, err := c.DecodePatch([]byte(expand(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
		{"op":"replace","value":{"CORE:title":"T","ENT:department":"D","EXT":{"countryCode":"CA"}}}]}`)), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := c.Apply(p, before())
	if err != nil {
		t.Fatal(err)
	}
	want := before()
	want.Title, want.Enterprise.Department, want.Extensions = "T", "D", []any{&testExtension{CountryCode: "CA"}}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestToleranceIDs(t *testing.T) {
	all, err := ParseTolerances(toleranceIDs[:]...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(all.IDs(), toleranceIDs[:]) {
		t.Errorf("ids %v", all)
	}
	if tolOneLoginIntegers != 1<<(len(toleranceIDs)-1) {
		t.Error("the constants and their ids are out of step")
	}
	if _, err := ParseTolerances("nope"); err == nil {
		t.Error("an unknown id was parsed")
	}
	defer func() {
		if recover() == nil {
			t.Error("Without accepts an unknown id")
		}
	}()
	newCodec(t).Without("nope")
}

func TestOneLoginSendsItsOwnShapes(t *testing.T) {
	c := newCodec(t)
	u, _, err := c.Decode([]byte(`{"schemas":["urn:scim:schemas:core:1.0"],"id":null,"userName":"a","active":"True","emails":{"value":"a@b.cc"},
		"urn:scim:schemas:extension:enterprise:1.0":{"manager":{"managerId":"m","displayName":"M"}}}`), DialectOneLogin)
	if err != nil {
		t.Fatal(err)
	}
	want := &User{UserName: "a", Active: new(true), Emails: []MultiValue{{Value: "a@b.cc"}}, Enterprise: &EnterpriseUser{Manager: &Manager{Value: "m"}}}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRolesThatOnlyLookLikeJSON(t *testing.T) {
	c := newCodec(t)
	for in, want := range map[string]MultiValue{
		`{"value":"{\"id\":\"1\",\"value\":\"Admin\",\"displayName\":\"A\"}"}`: {Value: "Admin", Display: "A"},
		`{"value":"{x}"}`:                          {Value: "{x}"},
		`{"value":"{\"value\":1}"}`:                {Value: `{"value":1}`},
		`{"value":"{\"value\":\"a\"} trailing"}`:   {Value: "a"},
		`{"value":"Admin","display":"D"}`:          {Value: "Admin", Display: "D"},
		`{"value":"{\"value\":\"a\",\"x\":[{}]}"}`: {Value: "a"},
	} {
		u, _, err := c.Decode([]byte(`{"userName":"a","roles":[`+in+`]}`), DialectEntra)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if d := cmp.Diff([]MultiValue{want}, u.Roles); d != "" {
			t.Errorf("%s (-want +got):\n%s", in, d)
		}
	}
}
