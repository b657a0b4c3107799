package scim

import "time"

// The schema URNs of RFC 7643 §8.7.
const (
	UserSchema           = "urn:ietf:params:scim:schemas:core:2.0:User"
	EnterpriseUserSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	GroupSchema          = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// User is a User resource (RFC 7643 §4.1) with its extensions. A zero value
// of an attribute means that it is unassigned (RFC 7643 §2.5: null, an empty
// array and, for strings, "" are the same). Booleans and integers are
// pointers so that "absent" is never mistaken for false or 0.
//
// The tag `scim` names the attribute in the resource type's schema; the
// binding of fields to schemas is checked once, when a Codec is made.
type User struct {
	// Schemas is there for the binding only: a Codec derives what it shows
	// from the extensions that are present, and leaves the field as it is.
	Schemas    []string `scim:"schemas"`
	ID         string   `scim:"id"`
	ExternalID string   `scim:"externalId"`
	Meta       Meta     `scim:"meta"`

	UserName          string `scim:"userName"`
	Name              *Name  `scim:"name"`
	DisplayName       string `scim:"displayName"`
	NickName          string `scim:"nickName"`
	ProfileURL        string `scim:"profileUrl"`
	Title             string `scim:"title"`
	UserType          string `scim:"userType"`
	PreferredLanguage string `scim:"preferredLanguage"`
	Locale            string `scim:"locale"`
	Timezone          string `scim:"timezone"`
	Active            *bool  `scim:"active"`
	Password          Secret `scim:"password"`

	Emails           []MultiValue `scim:"emails"`
	PhoneNumbers     []MultiValue `scim:"phoneNumbers"`
	IMs              []MultiValue `scim:"ims"`
	Photos           []MultiValue `scim:"photos"`
	Addresses        []Address    `scim:"addresses"`
	Groups           []GroupRef   `scim:"groups"`
	Entitlements     []MultiValue `scim:"entitlements"`
	Roles            []MultiValue `scim:"roles"`
	X509Certificates []MultiValue `scim:"x509Certificates"`

	Enterprise *EnterpriseUser `scim:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`

	// Extensions holds the further extensions that the Codec was made with,
	// keyed by position in its list: each element is a pointer to the Go
	// type registered for that extension, or nil when it is absent.
	Extensions []any
}

// Meta is the common attribute meta (RFC 7643 §3.1).
type Meta struct {
	ResourceType string    `scim:"resourceType"`
	Created      time.Time `scim:"created"`
	LastModified time.Time `scim:"lastModified"`
	Location     string    `scim:"location"`
	// Version is the weak ETag as sent: W/"…".
	Version string `scim:"version"`
}

// Name is the attribute name (RFC 7643 §4.1.1).
type Name struct {
	Formatted       string `scim:"formatted"`
	FamilyName      string `scim:"familyName"`
	GivenName       string `scim:"givenName"`
	MiddleName      string `scim:"middleName"`
	HonorificPrefix string `scim:"honorificPrefix"`
	HonorificSuffix string `scim:"honorificSuffix"`
}

// MultiValue is an entry of a multi-valued attribute with the default
// sub-attributes (RFC 7643 §2.4).
type MultiValue struct {
	Value   string `scim:"value"`
	Display string `scim:"display"`
	Type    string `scim:"type"`
	Primary *bool  `scim:"primary"`
}

// Address is an entry of addresses (RFC 7643 §4.1.2).
type Address struct {
	Formatted     string `scim:"formatted"`
	StreetAddress string `scim:"streetAddress"`
	Locality      string `scim:"locality"`
	Region        string `scim:"region"`
	PostalCode    string `scim:"postalCode"`
	Country       string `scim:"country"`
	Type          string `scim:"type"`
	Primary       *bool  `scim:"primary"`
}

// GroupRef is an entry of the read-only attribute groups.
type GroupRef struct {
	Value   string `scim:"value"`
	Ref     string `scim:"$ref"`
	Display string `scim:"display"`
	Type    string `scim:"type"`
}

// EnterpriseUser is the extension of RFC 7643 §4.3.
type EnterpriseUser struct {
	EmployeeNumber string   `scim:"employeeNumber"`
	CostCenter     string   `scim:"costCenter"`
	Organization   string   `scim:"organization"`
	Division       string   `scim:"division"`
	Department     string   `scim:"department"`
	Manager        *Manager `scim:"manager"`
}

// Manager refers to another User (RFC 7643 §4.3).
type Manager struct {
	Value       string `scim:"value"`
	Ref         string `scim:"$ref"`
	DisplayName string `scim:"displayName"`
}
