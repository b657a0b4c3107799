package condition

import (
	"cmp"
	"reflect"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// environment is a user as a condition sees it.
type environment struct {
	UserName          string   `expr:"userName"`
	DisplayName       string   `expr:"displayName"`
	NickName          string   `expr:"nickName"`
	GivenName         string   `expr:"givenName"`
	FamilyName        string   `expr:"familyName"`
	Title             string   `expr:"title"`
	UserType          string   `expr:"userType"`
	PreferredLanguage string   `expr:"preferredLanguage"`
	Locale            string   `expr:"locale"`
	Timezone          string   `expr:"timezone"`
	ExternalID        string   `expr:"externalId"`
	Active            bool     `expr:"active"`
	Email             string   `expr:"email"`
	Emails            []string `expr:"emails"`
	Country           string   `expr:"country"`
	CountryCode       string   `expr:"countryCode"`
	Roles             []string `expr:"roles"`
	Entitlements      []string `expr:"entitlements"`
	EmployeeNumber    string   `expr:"employeeNumber"`
	CostCenter        string   `expr:"costCenter"`
	Organization      string   `expr:"organization"`
	Division          string   `expr:"division"`
	Department        string   `expr:"department"`
	Manager           string   `expr:"manager"`
}

// names are those of the environment, and lists those of its lists.
var names, lists = func() (names []string, lists map[string]bool) {
	lists = map[string]bool{}
	for f := range reflect.TypeFor[environment]().Fields() {
		name := f.Tag.Get("expr")
		names = append(names, name)
		lists[name] = f.Type.Kind() == reflect.Slice
	}
	return names, lists
}()

// Names are the attributes that a condition may name. email is the primary
// e-mail, else the first; country that of the primary address, else of the
// first that has one; manager the id of the manager; an entry of roles and
// entitlements is its value, else its display.
func Names() []string { return append([]string(nil), names...) }

// uses are the names that a condition mentions.
type uses map[string]bool

// environmentOf reads what is used of u; nil is a user without attributes.
func environmentOf(u *scim.User, used uses) *environment {
	if u == nil {
		u = &scim.User{}
	}
	e := &environment{
		UserName: u.UserName, DisplayName: u.DisplayName, NickName: u.NickName, Title: u.Title, UserType: u.UserType,
		PreferredLanguage: u.PreferredLanguage, Locale: u.Locale, Timezone: u.Timezone, ExternalID: u.ExternalID,
		Active:  u.Active == nil || *u.Active,
		Country: countryOf(u.Addresses),
	}
	if u.Name != nil {
		e.GivenName, e.FamilyName = u.Name.GivenName, u.Name.FamilyName
	}
	if x := u.Enterprise; x != nil {
		e.EmployeeNumber, e.CostCenter, e.Organization = x.EmployeeNumber, x.CostCenter, x.Organization
		e.Division, e.Department = x.Division, x.Department
		if x.Manager != nil {
			e.Manager = x.Manager.Value
		}
	}
	if used["email"] {
		e.Email = emailOf(u.Emails)
	}
	if used["emails"] {
		e.Emails = values(u.Emails)
	}
	if used["roles"] {
		e.Roles = valuesOrDisplays(u.Roles)
	}
	if used["entitlements"] {
		e.Entitlements = valuesOrDisplays(u.Entitlements)
	}
	if x := mapping.Extension(u); x != nil {
		e.CountryCode = x.CountryCode
	}
	return e
}

// size is how many bytes an evaluation may have to look at.
func (e *environment) size() int {
	n := 0
	for _, s := range [...]string{
		e.UserName, e.DisplayName, e.NickName, e.GivenName, e.FamilyName, e.Title, e.UserType, e.PreferredLanguage, e.Locale,
		e.Timezone, e.ExternalID, e.Email, e.Country, e.CountryCode, e.EmployeeNumber, e.CostCenter, e.Organization, e.Division,
		e.Department, e.Manager,
	} {
		n += len(s)
	}
	for _, list := range [...][]string{e.Emails, e.Roles, e.Entitlements} {
		for _, s := range list {
			n += len(s)
		}
	}
	return n
}

func isTrue(b *bool) bool { return b != nil && *b }

func emailOf(emails []scim.MultiValue) string {
	first := ""
	for _, e := range emails {
		switch {
		case e.Value == "":
		case isTrue(e.Primary):
			return e.Value
		case first == "":
			first = e.Value
		}
	}
	return first
}

func countryOf(addresses []scim.Address) string {
	first := ""
	for _, a := range addresses {
		switch {
		case a.Country == "":
		case isTrue(a.Primary):
			return a.Country
		case first == "":
			first = a.Country
		}
	}
	return first
}

// values leaves empty entries out.
func values(entries []scim.MultiValue) []string {
	var list []string
	for _, e := range entries {
		if e.Value != "" {
			list = append(list, e.Value)
		}
	}
	return list
}

// valuesOrDisplays leaves entries out that have neither.
func valuesOrDisplays(entries []scim.MultiValue) []string {
	var list []string
	for _, e := range entries {
		if v := cmp.Or(e.Value, e.Display); v != "" {
			list = append(list, v)
		}
	}
	return list
}
