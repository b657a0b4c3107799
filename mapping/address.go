package mapping

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// tombstoneName is how Entra renames a soft-deleted person: the object id in
// 32 hexadecimal digits before the user principal name.
var tombstoneName = regexp.MustCompile(`^[0-9a-fA-F]{32}.+@`)

// IsTombstoneName reports whether s is the name that Microsoft Entra ID gives
// to a soft-deleted user. It is no address of anybody.
func IsTombstoneName(s string) bool { return tombstoneName.MatchString(s) }

// Address returns the e-mail address by which upstream is to know u, and the
// SCIM attribute it comes from: the primary e-mail, else the first of type
// work, else the user name when it is an address, else an e-mail without a type:
// previous where it is one of them, or the first. (One of another type may be
// private.) An Entra tombstone name is never taken: where one is met, previous is
// the answer, with no attribute, and without a previous the next of these. Errors
// are *scim.Error of 400.
func Address(u *scim.User, previous string) (email, source string, err error) {
	tombstone := ""
	for _, c := range addressCandidates(u, previous) {
		switch {
		case !IsTombstoneName(c.value):
			return c.value, c.source, validAddress(c.source, c.value)
		case previous != "":
			return previous, "", nil
		case tombstone == "":
			tombstone = c.value
		}
	}
	if tombstone != "" {
		return "", "", scim.BadRequest(scim.TypeInvalidValue,
			"%q is the name that Microsoft Entra ID gives to a deleted user: it is no address to invite; send the person's own userName or a primary e-mail", tombstone)
	}
	return "", "", scim.BadRequest(scim.TypeInvalidValue,
		"no e-mail address: userName %q is not one and emails has none for work; map an e-mail address to emails[type eq \"work\"].value", u.UserName)
}

type candidate struct{ value, source string }

// addressCandidates are the values that Address considers, best first.
func addressCandidates(u *scim.User, previous string) []candidate {
	var cs []candidate
	if i := primaryEmail(u); i >= 0 {
		cs = append(cs, candidate{u.Emails[i].Value, "emails"})
	}
	if i := workEmail(u); i >= 0 {
		cs = append(cs, candidate{u.Emails[i].Value, "emails"})
	}
	if strings.Contains(u.UserName, "@") {
		cs = append(cs, candidate{u.UserName, "userName"})
	}
	if i := plainEmail(u, previous); i >= 0 {
		cs = append(cs, candidate{u.Emails[i].Value, "emails"})
	}
	return cs
}

func validAddress(attribute, s string) error {
	if err := scim.ValidEmail(s); err != nil {
		return scim.BadRequest(scim.TypeInvalidValue, "%s: an invite cannot be sent to %q: %v", attribute, s, err)
	}
	return nil
}

// addressEntry is the index of the entry of emails that Address considers
// first, or -1 where it takes the user name.
func addressEntry(u *scim.User, previous string) int {
	if i := primaryEmail(u); i >= 0 {
		return i
	}
	if i := workEmail(u); i >= 0 || strings.Contains(u.UserName, "@") {
		return i
	}
	return plainEmail(u, previous)
}

func primaryEmail(u *scim.User) int {
	return slices.IndexFunc(u.Emails, func(e scim.MultiValue) bool { return isTrue(e.Primary) && e.Value != "" })
}

func workEmail(u *scim.User) int {
	return slices.IndexFunc(u.Emails, func(e scim.MultiValue) bool { return strings.EqualFold(e.Type, "work") && e.Value != "" })
}

// plainEmail is the index of the entry of emails without a type that is previous,
// else of the first one.
func plainEmail(u *scim.User, previous string) int {
	plain := func(e scim.MultiValue) bool { return e.Value != "" && e.Type == "" }
	i := slices.IndexFunc(u.Emails, func(e scim.MultiValue) bool { return plain(e) && scim.Fold(e.Value) == scim.Fold(previous) })
	if i < 0 {
		i = slices.IndexFunc(u.Emails, plain)
	}
	return i
}

func isTrue(b *bool) bool { return b != nil && *b }

// Country returns the ISO 3166-1 alpha-2 code to write upstream and where it
// comes from: the extension's countryCode, else the country of the primary,
// else of the first work address where that is such a code; "" for none.
// Errors are *scim.Error of 400.
func Country(u *scim.User) (code, source string, err error) {
	if e := Extension(u); e != nil && e.CountryCode != "" {
		code, ok := countryCode(e.CountryCode)
		if !ok {
			return "", "", scim.BadRequest(scim.TypeInvalidValue,
				"%s:countryCode: %q is not an ISO 3166-1 alpha-2 code such as \"CA\"", UserExtensionURN, e.CountryCode)
		}
		return code, "countryCode", nil
	}
	if i := countryEntry(u); i >= 0 {
		code, _ := countryCode(u.Addresses[i].Country)
		return code, "addresses.country", nil
	}
	return "", "", nil
}

// countryEntry is the index of the entry of addresses that Country takes, or
// -1.
func countryEntry(u *scim.User) int {
	usable := func(a scim.Address) bool { _, ok := countryCode(a.Country); return ok }
	if i := slices.IndexFunc(u.Addresses, func(a scim.Address) bool { return isTrue(a.Primary) && usable(a) }); i >= 0 {
		return i
	}
	return slices.IndexFunc(u.Addresses, func(a scim.Address) bool { return strings.EqualFold(a.Type, "work") && usable(a) })
}
