package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// genUser draws a user of what a client may write.
func genUser(t *rapid.T) *User {
	str := func(label string) string {
		if rapid.Bool().Draw(t, label+" set") {
			return strings.ReplaceAll(rapid.String().Draw(t, label), "\x00", "")
		}
		return ""
	}
	flag := func(label string) *bool {
		return rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(t, label)
	}
	values := func(label string) []MultiValue {
		var list []MultiValue
		for range rapid.IntRange(0, 3).Draw(t, label) {
			list = append(list, MultiValue{Value: "v" + str(label), Display: str(label), Type: str(label), Primary: flag(label)})
		}
		return list
	}
	u := &User{
		UserName: "u" + str("userName"), DisplayName: str("displayName"), Title: str("title"), Active: flag("active"), ExternalID: str("externalId"),
		Emails: values("emails"), Roles: values("roles"), PhoneNumbers: values("phoneNumbers"),
	}
	if rapid.Bool().Draw(t, "name") {
		u.Name = &Name{GivenName: "g" + str("givenName"), FamilyName: str("familyName")}
	}
	if rapid.Bool().Draw(t, "enterprise") {
		u.Enterprise = &EnterpriseUser{Department: "d" + str("department")}
		if rapid.Bool().Draw(t, "manager") {
			u.Enterprise.Manager = &Manager{Value: "m" + str("manager")}
		}
	}
	if rapid.Bool().Draw(t, "extension") {
		u.Extensions = []any{&testExtension{CountryCode: "c" + str("country"), OrganizationIDs: rapid.SliceOf(rapid.Int64()).Draw(t, "organizations"), DefaultOrganizationID: new(rapid.Int64().Draw(t, "default"))}}
	}
	return u
}

func TestStoredUsersAreReadBackExactly(t *testing.T) {
	c := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		u := genUser(t)
		stored := c.AppendFull(nil, u)
		if !json.Valid(stored) {
			t.Fatalf("not JSON: %s", stored)
		}
		got, err := c.Load(stored)
		if err != nil {
			t.Fatalf("%v in %s", err, stored)
		}
		if d := cmp.Diff(u, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-stored +loaded):\n%s", d)
		}
		if changes := c.Diff(u, got); len(changes) != 0 {
			t.Fatalf("changes %v", changes)
		}
		if d := cmp.Diff(u, c.Clone(u)); d != "" {
			t.Fatalf("Clone (-want +got):\n%s", d)
		}
	})
}

func TestFullUserIsStoredWithoutWhatIsOurs(t *testing.T) {
	c := newCodec(t)
	stored := string(c.AppendFull(nil, fullUser()))
	for _, s := range []string{"t1meMa$heen", `"id":"2819`, "meta", "groups", "managed", "memberships", "John Smith"} {
		if strings.Contains(stored, s) {
			t.Errorf("%s is stored in %s", s, stored)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	c := newCodec(t)
	u := fullUser()
	n := c.Clone(u)
	n.Name.GivenName, *n.Active, n.Emails[0].Value, *n.Emails[0].Primary = "x", false, "x", false
	n.Enterprise.Manager.Value, n.Enterprise.Department, n.Groups[0].Value, *n.Addresses[0].Primary = "x", "x", "x", false
	x := n.Extensions[0].(*testExtension)
	x.OrganizationIDs[0], *x.Managed, x.Invite.ID, *x.EffectiveRole.Weight, *x.Memberships[0].RoleID, x.NotApplied[0] = 0, false, "x", 0, 0, "x"
	n.Extensions[0] = nil
	if d := cmp.Diff(fullUser(), u); d != "" {
		t.Errorf("the original was changed:\n%s", d)
	}
}

// applyBoth runs the operations that data stands for through the engine and
// through the model.
func applyBoth(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *Codec[User], data []byte) {
	t.Helper()
	d := &dice{data: data}
	u := &User{UserName: "u", Active: new(true)}
	for range d.roll(3) {
		u.Emails = append(u.Emails, MultiValue{Value: pick(d, []string{"a@x.yy", "b@x.yy", "c@x.yy"}), Type: pick(d, modelTypes)})
	}
	want := documentOf(c.Append(nil, u, Projection{}))
	frozen := c.Clone(u)
	var ops []string
	ok := true
	for range 1 + d.roll(5) {
		op := d.op()
		ops = append(ops, op.body())
		// A refusal of one refuses all.
		ok = ok && modelApply(want, op)
	}
	body := operations(strings.Join(ops, ","))
	p, err := c.DecodePatch(body, DialectEntra)
	var next *User
	var changes []Change
	if err == nil {
		next, changes, err = c.Apply(p, u)
	}
	if d := cmp.Diff(frozen, u); d != "" {
		t.Fatalf("%s changed its input:\n%s", body, d)
	}
	if (err == nil) != ok {
		t.Fatalf("%s: error %v, the model accepts: %v", body, err, ok)
	}
	if err != nil {
		return
	}
	got := documentOf(c.Append(nil, next, Projection{}))
	if !sameDocument(want, got) {
		t.Fatalf("%s (-model +engine):\n%s", body, cmp.Diff(want, got))
	}
	if again := c.Diff(u, next); !slices.Equal(again, changes) {
		t.Fatalf("%s: changes %v, Diff says %v", body, changes, again)
	}
	if (len(changes) == 0) != sameDocument(documentOf(c.Append(nil, u, Projection{})), got) {
		t.Fatalf("%s: changes %v", body, changes)
	}
	for _, ch := range changes {
		if !p.Mentions(ch.Path) {
			t.Fatalf("%s changes %s and does not mention it", body, ch.Path)
		}
	}
}

func TestPatchAgreesWithTheModel(t *testing.T) {
	c := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		applyBoth(t, c, rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "dice"))
	})
}

func FuzzPatchApply(f *testing.F) {
	c := newCodec(f)
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 1, 1, 4, 1, 5, 0, 0, 0, 1, 6, 1, 0, 2, 1, 0, 0})
	f.Add([]byte("\x01\x00\x00\x03\x00\x04\x02\x00\x01\x01\x00\x00\x00\x01\x05\x02\x02\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 256 {
			return
		}
		applyBoth(t, c, data)
	})
}

func FuzzJSONBody(f *testing.F) {
	c := newCodec(f)
	for _, s := range []string{
		entraUser, `{"userName":"a"}`, `{}`, `null`, ``, `{"userName":"a"}{}`, "\xef\xbb\xbf{\"userName\":\"a\"}", `{"userName":"\ud800"}`, `{"userName":"a","USERNAME":"b"}`,
		`{"userName":"a","emails":[{"value":"a@b.cc","primary":"True"},{}],"active":"False","urn:x":{"y":[[[]]]}}`,
		expand(`{"schemas":["CORE","EXT"],"userName":"a","EXT":{"organizationIds":[1,2],"defaultOrganizationId":3},"ENT":{"manager":[{"value":"m"}]}}`),
	} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(DialectEntra))
		f.Add([]byte(s), uint8(DialectOneLogin))
	}
	f.Fuzz(func(t *testing.T, body []byte, dialect uint8) {
		sent := string(body)
		d := Dialect(dialect % uint8(len(dialectNames)))
		u, _, err := c.Decode(body, d)
		if string(body) != sent {
			t.Fatal("the body was changed")
		}
		if err != nil {
			wantClientError(t, err)
			return
		}
		if u.UserName == "" || !utf8.ValidString(u.UserName) {
			t.Fatalf("userName %q", u.UserName)
		}
		out := c.Append(nil, u, Projection{})
		again, _, err := c.Decode(out, d)
		if err != nil {
			t.Fatalf("%s is shown as %s: %v", body, out, err)
		}
		again.Password = u.Password
		if ch := c.Diff(u, again); len(ch) != 0 {
			t.Fatalf("%s is shown as %s: %v differ", body, out, ch)
		}
		stored := c.AppendFull(nil, u)
		loaded, err := c.Load(stored)
		if err != nil {
			t.Fatalf("%s is stored as %s: %v", body, stored, err)
		}
		loaded.Password = u.Password
		if ch := c.Diff(u, loaded); len(ch) != 0 {
			t.Fatalf("%s is stored as %s: %v", body, stored, ch)
		}
	})
}

func wantClientError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status > 413 || e.Detail == "" {
		t.Fatalf("error %#v", err)
	}
	if !utf8.ValidString(e.Detail) {
		t.Fatalf("detail %q", e.Detail)
	}
}

// FuzzPatchPath reads any path with any value, or any key without a path.
func FuzzPatchPath(f *testing.F) {
	c := newCodec(f)
	for _, s := range []string{
		`active`, `name.familyName`, `emails[type eq "work"].value`, `emails[type eq "work" and primary eq "True"]`, `roles[primary eq "True"].value`, `members[value eq "1"]`,
		EnterpriseUserSchema, EnterpriseUserSchema + `:manager`, testURN + `:organizationIds`, `emails`, `emails.value`, `addresses[not (type eq "x")].locality`, `emails[type eq`, `password`,
	} {
		for _, v := range []string{`"x"`, `true`, `null`, `[{"value":"a@b.cc"}]`, `{"value":"a@b.cc","type":"x"}`, `[113]`} {
			f.Add(s, v, uint8(0), uint8(DialectEntra))
			f.Add(s, v, uint8(3), uint8(DialectRFC))
		}
	}
	shapes := []string{
		`{"op":"add","path":%s,"value":%s}`, `{"op":"replace","path":%s,"value":%s}`, `{"op":"remove","path":%s,"value":%s}`,
		`{"op":"add","value":{%s:%s}}`, `{"op":"replace","value":{%s:%s}}`,
	}
	f.Fuzz(func(t *testing.T, path, value string, shape, dialect uint8) {
		quoted, err := json.Marshal(path)
		if err != nil {
			t.Fatal(err)
		}
		body := operations(fmt.Sprintf(shapes[int(shape)%len(shapes)], quoted, value))
		d := Dialect(dialect % uint8(len(dialectNames)))
		p, err := c.DecodePatch(body, d)
		if err != nil {
			wantClientError(t, err)
			return
		}
		u := before()
		next, changes, err := c.Apply(p, u)
		if diff := cmp.Diff(before(), u); diff != "" {
			t.Fatalf("%s changed its input:\n%s", body, diff)
		}
		if err != nil {
			wantClientError(t, err)
			return
		}
		if next.Active == nil || next.UserName == "" || next.ID != u.ID {
			t.Fatalf("%s lost what cannot be lost: %+v", body, next)
		}
		for _, ch := range changes {
			if !p.Mentions(ch.Path) {
				t.Fatalf("%s changes %s and does not mention it", body, ch.Path)
			}
		}
		out := c.Append(nil, next, Projection{})
		if !json.Valid(out) {
			t.Fatalf("%s gives %s", body, out)
		}
	})
}

// FuzzFilter resolves and evaluates any filter.
func FuzzFilter(f *testing.F) {
	c := newCodec(f)
	for _, s := range []string{
		`userName eq "x"`, `emails[type eq "work"].value eq "x"`, `not (title pr) or active eq "True"`, testURN + `:organizationIds ge 113`, `meta.created lt "2026-01-01T00:00:00Z"`,
		EnterpriseUserSchema + `:manager[value pr]`, `externalId eq jyoung`, `schemas eq "x"`, `x509Certificates.value ne null`,
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(DialectEntra))
	}
	full, none := fullUser(), &User{}
	f.Fuzz(func(t *testing.T, s string, dialect uint8) {
		d := Dialect(dialect % uint8(len(dialectNames)))
		fl, err := c.ParseFilter(s, d)
		if err != nil {
			wantClientError(t, err)
			return
		}
		m1, m2 := c.Match(fl, full), c.Match(fl, none)
		fl.Equal()
		if terms, ok := fl.Equals(); ok {
			each := true
			for _, term := range terms {
				value, err := json.Marshal(term.Value)
				if err != nil {
					t.Fatal(err)
				}
				tf, err := c.ParseFilter(term.Path+" eq "+string(value), d)
				if err != nil {
					t.Fatalf("%q has the term %v: %v", s, term, err)
				}
				each = each && c.Match(tf, full)
				if !fl.Mentions(term.Path) {
					t.Fatalf("%q does not mention %s", s, term.Path)
				}
			}
			if each != m1 {
				t.Fatalf("%q matches: %v, its terms %v: %v", s, m1, terms, each)
			}
		}
		printed := fl.String()
		if len(printed) > 4096 {
			return
		}
		again, err := c.ParseFilter(printed, d)
		if err != nil {
			t.Fatalf("%q printed as %q: %v", s, printed, err)
		}
		if c.Match(again, full) != m1 || c.Match(again, none) != m2 {
			t.Fatalf("%q printed as %q and matches differently", s, printed)
		}
	})
}
