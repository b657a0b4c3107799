package scim

// What every client may send, whatever its dialect.
const (
	// ByteOrderMark: a UTF-8 byte order mark before the body is stripped
	// (RFC 8259 §8.1 permits a parser to ignore it).
	ByteOrderMark = "byte-order-mark"
	// SchemasAbsent: a body without "schemas", or with an empty one, is taken
	// for the resource type of the endpoint. Microsoft Entra documentation
	// ("Known issues and resolutions with SCIM 2.0 protocol compliance")
	// shows PATCH bodies without it.
	SchemasAbsent = "schemas-absent"
	// ForeignSchemas: further URNs in "schemas" that the resource type does
	// not have are passed over. Microsoft Entra documentation ("Develop and
	// plan provisioning for a SCIM endpoint") shows a Group create that lists
	// http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group.
	ForeignSchemas = "foreign-schema-urns"
	// ExtensionUnlisted: an extension's attributes are read although
	// "schemas" does not list its URN. Microsoft Entra documentation
	// ("Customize user provisioning attribute-mappings"): custom extension
	// attributes are sent without it.
	ExtensionUnlisted = "extension-unlisted"
	// UnknownAttributeDropped: attributes and extensions that the resource
	// type does not have are left out of POST and PUT, so that an
	// administrator's additional mapping does not block the person.
	UnknownAttributeDropped = "unknown-attribute-dropped"
	// StringBooleans: "true" and "False" are booleans. Microsoft Entra
	// documentation ("Known issues and resolutions with SCIM 2.0 protocol
	// compliance"): active is sent as "False" by default; OneLogin's JSON
	// template quotes every macro.
	StringBooleans = "string-booleans"
	// EmptyStringClears: "" unassigns any attribute that has one value and is
	// not a boolean. AzureAD/SCIMReferenceCode,
	// Microsoft.SCIM.LogicAppValidationTemplate: Null_Update replaces each
	// attribute by "" and reads it back.
	EmptyStringClears = "empty-string-clears"
	// ManagerString: the manager as a string instead of an object; "" removes
	// it. Microsoft Entra documentation ("Develop and plan provisioning for a
	// SCIM endpoint"); Budibase/budibase#15369.
	ManagerString = "manager-string"
	// OpAnyCase: "op" in any case. Microsoft Entra documentation ("Known
	// issues and resolutions with SCIM 2.0 protocol compliance"): Add,
	// Replace and Remove are capitalised by default.
	OpAnyCase = "op-any-case"
	// EmptyOperations: an empty "Operations" array changes nothing and
	// succeeds. Microsoft's SCIM Validator sends one
	// (pranems/SCIMServer docs/archive/SCIM_VALIDATOR_RESULTS_26_ANALYSIS.md).
	EmptyOperations = "empty-operations"
	// PathlessReadOnlyIgnored: without a path, read-only attributes in the
	// value are passed over. Okta SCIM 2.0 documentation: a group's id is
	// sent along with its displayName.
	PathlessReadOnlyIgnored = "pathless-read-only-ignored"
	// PathlessDottedKeys: without a path, the keys of the value may be paths
	// into an attribute: name.givenName, emails[type eq "work"].value. No
	// attribute can have such a name (RFC 7643 §2.1), so nothing else can be
	// meant. Microsoft Entra documentation ("Known issues and resolutions
	// with SCIM 2.0 protocol compliance"), requests with aadOptscim062020;
	// provisioning by hand and test suites send the same without saying who
	// they are. A key of a URN and an attribute needs no tolerance: it is
	// that attribute's full name (RFC 7644 §3.10).
	PathlessDottedKeys = "pathless-dotted-keys"
	// AddNoMatchCreates: add on a value path that matches nothing creates the
	// entry that the filter describes. Captain-P-Goldfish/SCIM-SDK#416;
	// thomaspoignant/scim-patch#42.
	AddNoMatchCreates = "add-no-match-creates"
	// RemoveNoMatchSucceeds: remove on a value path that matches nothing, or
	// of an attribute that is absent, succeeds. Infisical/infisical#6471.
	RemoveNoMatchSucceeds = "remove-no-match-succeeds"
	// RemoveValueIgnored: a remove of anything but a whole multi-valued
	// attribute may carry a value, which says nothing.
	// AzureAD/SCIMReferenceCode#87: Remove of title with its value;
	// Microsoft.SCIM.LogicAppValidationTemplate removes the manager with "".
	RemoveValueIgnored = "remove-value-ignored"
	// RemoveValueList: remove of a multi-valued attribute with a value
	// removes those entries only. Microsoft Entra documentation ("Known
	// issues and resolutions with SCIM 2.0 protocol compliance"), default
	// form of removing a member; JumpCloud sends the same
	// (Paul-E/scim-v2-rust src/test_data).
	RemoveValueList = "remove-value-list"
	// FilterSubAttribute: a filter may name a sub-attribute behind the
	// brackets, as only a PATCH path may (RFC 7644 §3.4.2.2, figure 1):
	// emails[type eq "work"].value eq "a@b.cc". Microsoft Entra documentation
	// ("Develop and plan provisioning for a SCIM endpoint"): the default
	// mapping of mail, when it is a matching attribute.
	FilterSubAttribute = "filter-value-path-sub-attribute"
)

const anyTolerances = tolByteOrderMark | tolSchemasAbsent | tolForeignSchemas | tolExtensionUnlisted | tolUnknownDropped |
	tolStringBooleans | tolEmptyStringClears | tolManagerString | tolOpAnyCase | tolEmptyOperations | tolPathlessReadOnly |
	tolPathlessKeys | tolAddCreates | tolRemoveNoMatch | tolRemoveValue | tolRemoveValueList | tolFilterSubAttribute
