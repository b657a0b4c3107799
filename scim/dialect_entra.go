package scim

import "reflect"

// What Microsoft Entra ID sends beyond dialect_any.go.
const (
	// ReplaceNoMatchCreates: replace on a value path that matches nothing
	// creates the entry, where RFC 7644 §3.5.2.3 says noTarget. Microsoft
	// Entra documentation ("Develop and plan provisioning for a SCIM
	// endpoint"): emails[type eq "work"].value is replaced whether or not it
	// exists; Captain-P-Goldfish/SCIM-SDK#416.
	ReplaceNoMatchCreates = "replace-no-match-creates"
	// ExtensionAttributeWithoutURN: in a path or a filter, an attribute that
	// only an extension has is found without the URN: manager. Microsoft
	// Entra documentation ("Develop and plan provisioning for a SCIM
	// endpoint") tests a reference by id eq … and manager eq …;
	// Captain-P-Goldfish/SCIM-SDK#686; apache/directory-scimple#1242.
	ExtensionAttributeWithoutURN = "extension-attribute-without-urn"
	// ManagerArray: the manager as an array of one object.
	// Captain-P-Goldfish/SCIM-SDK#686; apache/directory-scimple#1242.
	ManagerArray = "manager-array"
	// UnknownAttributeSkipped: an operation on an attribute that the resource
	// type does not have is skipped and reported while the others apply, so
	// that a mapping mistake never blocks a deactivation. Okta has it too.
	UnknownAttributeSkipped = "unknown-attribute-skipped"
	// RolesJSONString: the value of a role may be a JSON object in a string.
	// Microsoft Entra documentation ("Customize user provisioning
	// attribute-mappings", AppRoleAssignmentsComplex).
	RolesJSONString = "roles-json-string"
	// UnquotedFilterValue: externalId eq jyoung. Microsoft Entra
	// documentation ("Develop and plan provisioning for a SCIM endpoint")
	// shows a request like it.
	UnquotedFilterValue = "unquoted-filter-value"
	// JunkPrimaryDropped: a string that is no boolean in the primary of an
	// entry is left out. Microsoft's SCIM Validator sends random text there
	// (pranems/SCIMServer docs/archive/
	// SCIM_VALIDATOR_RESULTS_26_ANALYSIS.md).
	JunkPrimaryDropped = "junk-primary-dropped"
)

const entraTolerances = tolReplaceCreates | tolExtensionNoURN | tolManagerArray | tolUnknownSkipped | tolRolesJSON | tolUnquotedFilter | tolJunkPrimary

// unpackRole replaces a role entry whose value is a JSON object in a string
// by what that object says: its value, and its displayName as display. Text
// that only looks like an object stays as it is.
func (d *decoder) unpackRole(a *attribute, entry reflect.Value) {
	if a.path != "roles" || a.ext != nil || !d.tol.Has(tolRolesJSON) {
		return
	}
	field := entry.Field(a.value.index)
	packed := []byte(field.String())
	if len(packed) == 0 || packed[0] != '{' {
		return
	}
	value, display, err := d.readRole(packed)
	if err != nil || value == "" {
		return
	}
	field.SetString(value)
	if show := a.names.findString("display"); show != nil && display != "" {
		entry.Field(show.index).SetString(display)
	}
}

// readRole reads the strings value and displayName of a JSON object.
func (d *decoder) readRole(packed []byte) (value, display string, err error) {
	in := newDecoder(d.b, packed, d.tol)
	defer in.release()
	if err := in.open(); err != nil {
		return "", "", err
	}
	for n := 0; ; {
		name, ok, err := in.next(&n)
		if err != nil || !ok {
			return value, display, err
		}
		var into *string
		if in.dec.PeekKind() == '"' {
			switch string(name) {
			case "value":
				into = &value
			case "displayName":
				into = &display
			}
		}
		if into != nil {
			*into, err = in.text()
		} else {
			err = in.skip()
		}
		if err != nil {
			return "", "", err
		}
	}
}
