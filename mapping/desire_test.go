package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

const tombstone = "0123456789abcdef0123456789ABCDEFjay@example.com"

func work(v string) scim.MultiValue    { return scim.MultiValue{Value: v, Type: "Work"} }
func primary(v string) scim.MultiValue { return scim.MultiValue{Value: v, Primary: new(true)} }
func home(v string) scim.MultiValue {
	return scim.MultiValue{Value: v, Type: "home", Primary: new(false)}
}

// wantBadRequest checks that err is a 400 whose detail says want.
func wantBadRequest(t *testing.T, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*scim.Error](err)
	if !ok || e.Status != 400 || e.Type != scim.TypeInvalidValue || !strings.Contains(e.Detail, want) {
		t.Fatalf("got error %v, want a 400 invalidValue saying %q", err, want)
	}
}

func plain(v string) scim.MultiValue { return scim.MultiValue{Value: v} }

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		name           string
		user           scim.User
		previous       string
		want, wantFrom string
		wantErr        string
	}{
		{name: "primary before work", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{work("w@x.com"), primary("p@x.com")}}, want: "p@x.com", wantFrom: "emails"},
		{name: "first work entry", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{home("h@x.com"), work("w@x.com"), work("v@x.com")}}, want: "w@x.com", wantFrom: "emails"},
		{name: "an empty primary is none", user: scim.User{Emails: []scim.MultiValue{primary(""), work("w@x.com")}}, want: "w@x.com", wantFrom: "emails"},
		{name: "user name", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{home("h@x.com")}}, previous: "old@x.com", want: "u@x.com", wantFrom: "userName"},
		{name: "kept as sent", user: scim.User{UserName: "U.Ser@X.com"}, want: "U.Ser@X.com", wantFrom: "userName"},
		{name: "an e-mail without a type", user: scim.User{UserName: "jay", Emails: []scim.MultiValue{home("h@x.com"), plain(""), plain("i@x.com"), plain("j@x.com")}}, previous: "old@x.com", want: "i@x.com", wantFrom: "emails"},
		{name: "e-mails without a type in another order", user: scim.User{UserName: "jay", Emails: []scim.MultiValue{plain("i@x.com"), plain("J@x.com")}}, previous: "j@x.com", want: "J@x.com", wantFrom: "emails"},
		{name: "user name before an e-mail without a type", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{plain("i@x.com")}}, want: "u@x.com", wantFrom: "userName"},
		{name: "no address", user: scim.User{UserName: "jay", Emails: []scim.MultiValue{home("h@x.com"), plain("")}}, previous: "old@x.com", wantErr: `userName "jay" is not one`},
		{name: "bad e-mail", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{work("a@b")}}, wantErr: `emails: an invite cannot be sent to "a@b"`},
		{name: "header injection", user: scim.User{UserName: "u@x.com\r\nBcc: v@x.com"}, wantErr: "userName: an invite cannot be sent to"},
		{name: "tombstone keeps the address", user: scim.User{UserName: tombstone}, previous: "jay@example.com", want: "jay@example.com"},
		{name: "tombstone without one before", user: scim.User{UserName: tombstone}, wantErr: tombstone},
		{name: "tombstone and an e-mail", user: scim.User{UserName: tombstone, Emails: []scim.MultiValue{work("w@x.com")}}, previous: "old@x.com", want: "w@x.com", wantFrom: "emails"},
		{name: "tombstone e-mail keeps the address", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{primary(tombstone)}}, previous: "old@x.com", want: "old@x.com"},
		{name: "tombstone e-mail, user name at creation", user: scim.User{UserName: "u@x.com", Emails: []scim.MultiValue{primary(tombstone)}}, want: "u@x.com", wantFrom: "userName"},
		{name: "tombstone e-mail names itself", user: scim.User{UserName: "jay", Emails: []scim.MultiValue{primary(tombstone)}}, wantErr: tombstone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, from, err := mapping.Address(&tt.user, tt.previous)
			if tt.wantErr != "" {
				wantBadRequest(t, err, tt.wantErr)
				return
			}
			if err != nil || got != tt.want || from != tt.wantFrom {
				t.Fatalf("got %q from %q, %v, want %q from %q", got, from, err, tt.want, tt.wantFrom)
			}
		})
	}
}

func TestIsTombstoneName(t *testing.T) {
	for name, want := range map[string]bool{
		tombstone:                  true,
		strings.ToUpper(tombstone): true,
		"jay@example.com":          false,
		"0123456789abcdef0123456789abcdef@example.com":    false, // nobody's name follows
		"0123456789abcdef0123456789abcdejay@example.com":  false, // 31 digits
		"g123456789abcdef0123456789abcdefjay@example.com": false,
		"0123456789abcdef0123456789abcdefjay":             false,
		"":                                                false,
	} {
		if got := mapping.IsTombstoneName(name); got != want {
			t.Errorf("IsTombstoneName(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"jay@example.com", tombstone, "jay", "", "@", "a@b@c.de", "ſ@x.com", "a@b.c\r\nBcc: x@y.de"} {
		f.Add(s, s, true, "old@example.com")
		f.Add("user", s, false, "")
	}
	f.Fuzz(func(t *testing.T, userName, email string, isPrimary bool, previous string) {
		u := &scim.User{UserName: userName, Emails: []scim.MultiValue{{Value: email, Type: "work", Primary: &isPrimary}}}
		got, from, err := mapping.Address(u, previous)
		switch {
		case err != nil:
			wantBadRequest(t, err, "")
			if got != "" && from == "" {
				t.Fatalf("an error with %q from nowhere", got)
			}
		case from == "" && got != previous, from == "emails" && got != email, from == "userName" && got != userName:
			t.Fatalf("%q is not what %q says", got, from)
		case from != "" && (mapping.IsTombstoneName(got) || scim.ValidEmail(got) != nil):
			t.Fatalf("%q from %q is no address", got, from)
		}
		if u.UserName != userName || u.Emails[0].Value != email {
			t.Fatal("the user was changed")
		}
	})
}

func TestCountry(t *testing.T) {
	ext := func(code string) []any { return []any{&mapping.UserExtension{CountryCode: code}} }
	address := func(kind, country string, first bool) scim.Address {
		return scim.Address{Type: kind, Country: country, Primary: &first}
	}
	for _, tt := range []struct {
		name           string
		user           scim.User
		want, wantFrom string
		wantErr        string
	}{
		{name: "none"},
		{name: "extension before addresses", user: scim.User{Extensions: ext("fr"), Addresses: []scim.Address{address("work", "CA", true)}}, want: "FR", wantFrom: "countryCode"},
		{name: "primary before work", user: scim.User{Addresses: []scim.Address{address("work", "FR", false), address("home", "ca", true)}}, want: "CA", wantFrom: "addresses.country"},
		{name: "work", user: scim.User{Addresses: []scim.Address{address("home", "FR", false), address("WORK", "CA", false)}}, want: "CA", wantFrom: "addresses.country"},
		{name: "a primary that is no code gives way", user: scim.User{Addresses: []scim.Address{address("home", "Canada", true), address("work", "CA", false)}}, want: "CA", wantFrom: "addresses.country"},
		{name: "home only", user: scim.User{Addresses: []scim.Address{address("home", "CA", false)}}},
		{name: "country by name", user: scim.User{Addresses: []scim.Address{address("work", "Canada", true)}}},
		{name: "extension by name", user: scim.User{Extensions: ext("Canada")}, wantErr: `"Canada" is not an ISO 3166-1`},
		{name: "the United Kingdom is GB", user: scim.User{Extensions: ext("UK")}, wantErr: `"UK"`},
		{name: "withdrawn", user: scim.User{Extensions: ext("YU")}, wantErr: `"YU"`},
		{name: "no country", user: scim.User{Extensions: ext("EU")}, wantErr: `"EU"`},
		{name: "across the table's gaps", user: scim.User{Extensions: ext("D ")}, wantErr: `"D "`},
		{name: "long s is not s", user: scim.User{Extensions: ext("ſe")}, wantErr: "countryCode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, from, err := mapping.Country(&tt.user)
			if tt.wantErr != "" {
				wantBadRequest(t, err, tt.wantErr)
				return
			}
			if err != nil || got != tt.want || from != tt.wantFrom {
				t.Fatalf("got %q from %q, %v, want %q from %q", got, from, err, tt.want, tt.wantFrom)
			}
		})
	}
}

// ISO 3166-1 has 249 officially assigned codes.
func TestCountryKnowsEveryCode(t *testing.T) {
	n := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			u := &scim.User{Extensions: []any{&mapping.UserExtension{CountryCode: string(a) + string(b)}}}
			if _, _, err := mapping.Country(u); err == nil {
				n++
			}
		}
	}
	if n != 249 {
		t.Fatalf("%d codes are known, want 249", n)
	}
}

func testPolicy() *mapping.Policy {
	return &mapping.Policy{
		Organizations: []int64{113, 114}, Domains: []string{"example.com"}, DefaultRole: viewer, Roles: listed,
		IdentityProviderID: 2, SendMail: true, Adopt: mapping.AdoptVerifiedDomain,
	}
}

func TestDesire(t *testing.T) {
	base := mapping.Desire{
		Profile:   mapping.Profile{Email: "jay@example.com"},
		EmailFrom: "userName", Active: true, Organizations: []int64{113, 114}, IdentityProviderID: 2, Role: viewer,
	}
	with := func(change func(*mapping.Desire)) mapping.Desire {
		d := base
		change(&d)
		return d
	}
	ext := func(e mapping.UserExtension) scim.User {
		return scim.User{UserName: "jay@example.com", Extensions: []any{&e}}
	}
	for _, tt := range []struct {
		name     string
		user     scim.User
		previous mapping.Profile
		want     mapping.Desire
		wantErr  string
	}{
		{name: "least", user: scim.User{UserName: "jay@example.com"}, want: base},
		{name: "inactive", user: scim.User{UserName: "jay@example.com", Active: new(false)}, want: with(func(d *mapping.Desire) { d.Active = false })},
		{name: "profile", user: scim.User{
			UserName: "jay@example.com", ExternalID: "00u1", Name: &scim.Name{GivenName: "Jay", FamilyName: "Jackson"},
			Addresses: []scim.Address{{Type: "work", Country: "ca"}},
		}, want: with(func(d *mapping.Desire) {
			d.Profile.FirstName, d.Profile.LastName, d.Profile.CountryID = "Jay", "Jackson", "CA"
			d.OtherID, d.CountryFrom = "00u1", "addresses.country"
		})},
		{name: "the country stays", user: scim.User{UserName: "jay@example.com"}, previous: mapping.Profile{CountryID: "FR", FirstName: "Old"},
			want: with(func(d *mapping.Desire) { d.Profile.CountryID = "FR" })},
		{name: "organizations, each once", user: ext(mapping.UserExtension{OrganizationIDs: []int64{114, 113, 114}, DefaultOrganizationID: new(int64(114)), IdentityProviderID: new(int64(3))}),
			want: with(func(d *mapping.Desire) { d.Organizations, d.IdentityProviderID = []int64{114, 113}, 3 })},
		{name: "an organization of another tenant", user: ext(mapping.UserExtension{OrganizationIDs: []int64{113, 200}}), wantErr: "200 is not an organization of this tenant (have 113, 114)"},
		{name: "a default that is none of them", user: ext(mapping.UserExtension{OrganizationIDs: []int64{113}, DefaultOrganizationID: new(int64(114))}), wantErr: "114 is not among the person's organizations (113)"},
		{name: "no country", user: ext(mapping.UserExtension{CountryCode: "XX"}), wantErr: `"XX"`},
		{name: "no address", user: scim.User{UserName: "jay"}, wantErr: "no e-mail address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := testPolicy().Desire(&tt.user, tt.previous)
			if tt.wantErr != "" {
				wantBadRequest(t, err, tt.wantErr)
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Fatalf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// What the client leaves open is not put back to what it was before somebody
// changed it upstream.
func TestDesireOfKeepsWhatUpstreamShows(t *testing.T) {
	cur := account(member(113, 5, "active"))
	cur.Email, cur.CountryID = "new@example.com", "FR"
	written := mapping.Profile{Email: "jay@example.com", CountryID: "CA"}
	for _, tt := range []struct {
		name string
		cur  mapping.Account
		want mapping.Profile
	}{
		{name: "held", cur: cur, want: mapping.Profile{Email: "new@example.com", CountryID: "FR"}},
		{name: "nobody there", want: written},
	} {
		d, err := testPolicy().DesireOf(&scim.User{UserName: tombstone}, tt.cur, mapping.Past{Written: mapping.Written{Profile: written}})
		if diff := cmp.Diff(tt.want, d.Profile); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestDesireOf(t *testing.T) {
	user := func(active bool, orgs ...int64) *scim.User {
		return &scim.User{UserName: "jay@example.com", Active: &active, Extensions: []any{&mapping.UserExtension{OrganizationIDs: orgs}}}
	}
	for _, tt := range []struct {
		name                string
		user                *scim.User
		cur                 mapping.Account
		want, wantUntouched []int64
		wantErr             string
	}{
		{name: "nobody yet", user: user(true), want: []int64{113, 114}},
		{name: "held stays", user: user(true), cur: account(member(114, 5, "active")), want: []int64{114}},
		{name: "suspended here and there comes back", user: user(true), cur: account(member(113, 5, "suspended"), member(114, 5, "suspended")), want: []int64{113, 114}},
		{name: "suspended in one stays so", user: user(true), cur: account(member(113, 5, "suspended"), member(114, 5, "active")), want: []int64{114}, wantUntouched: []int64{113}},
		{name: "named", user: user(true, 113), cur: account(member(113, 5, "suspended"), member(114, 5, "active")), want: []int64{113}},
		{name: "only others hold", user: user(true), cur: account(member(200, 5, "active")), want: []int64{113, 114}},
		{name: "invited", user: user(true), cur: invited("pending", 113, 200), want: []int64{113}},
		{name: "an invite known of an account does not count", user: user(true), cur: withInvite(account(member(113, 5, "invited")), "pending", 113, 114), want: []int64{113}},
		{name: "a foreign organization when active", user: user(true, 113, 300), cur: account(member(113, 5, "active")), wantErr: "300"},
		{name: "a foreign organization does not keep access", user: user(false, 113, 300), cur: account(member(113, 5, "active")), want: []int64{113}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := testPolicy().DesireOf(tt.user, tt.cur, mapping.Past{})
			if tt.wantErr != "" {
				wantBadRequest(t, err, tt.wantErr)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]int64{tt.want, tt.wantUntouched}, [][]int64{d.Organizations, d.Untouched}); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCheckNamed(t *testing.T) {
	policy := &mapping.Policy{IdentityProviders: []int64{1, 2}, Organizations: []int64{113, 114}}
	in := func(active bool, orgs ...int64) *scim.User {
		return &scim.User{Active: &active, Extensions: []any{&mapping.UserExtension{OrganizationIDs: orgs}}}
	}
	naming := func(id int64) *scim.User {
		return &scim.User{Extensions: []any{&mapping.UserExtension{IdentityProviderID: &id}}}
	}
	for _, tt := range []struct {
		name          string
		policy        *mapping.Policy
		before, after *scim.User
		wantErr       string
	}{
		{name: "none", policy: policy, after: &scim.User{}},
		{name: "an enabled one", policy: policy, after: naming(2)},
		{name: "another one", policy: policy, after: naming(4), wantErr: "4 is not an enabled identity provider of Share A Refund (have 1, 2)"},
		{name: "another one than before", policy: policy, before: naming(1), after: naming(4), wantErr: "identityProviderId"},
		{name: "the same as before", policy: policy, before: naming(4), after: naming(4)},
		{name: "an organization of the tenant", policy: policy, after: in(true, 113, 114)},
		{name: "an organization of another", policy: policy, after: in(true, 113, 115), wantErr: "organizationIds: 115 is not an organization of this tenant (have 113, 114)"},
		{name: "an organization of another for somebody inactive", policy: policy, before: in(false), after: in(false, 115), wantErr: "115"},
		{name: "an organization of another at creation", policy: policy, after: in(false, 115), wantErr: "115"},
		{name: "an organization of another with a deactivation", policy: policy, before: in(true), after: in(false, 115)},
		{name: "an organization that was named before", policy: policy, before: in(false, 115), after: in(true, 115, 114)},
		{name: "not known which there are", policy: &mapping.Policy{}, after: naming(4)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.CheckNamed(tt.before, tt.after)
			if tt.wantErr == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantBadRequest(t, err, tt.wantErr)
		})
	}
}
