package scim

// What OneLogin sends: its administrator writes a JSON template, so the
// shapes follow examples of older protocols. Only a credential of that kind
// has these.
const (
	// OneLoginEmailsObject: emails as one object instead of an array
	// (15five/django-scim2, "emails dict").
	OneLoginEmailsObject = "onelogin-emails-object"
	// OneLoginManagerID: managerId instead of value in manager, as in SCIM
	// 1.1 (OneLogin documentation, "Define your SCIM user schema").
	OneLoginManagerID = "onelogin-manager-id"
	// OneLoginV1Schemas: the schema URNs of SCIM 1.0 and 1.1
	// (OneLogin documentation, "Define your SCIM user schema").
	OneLoginV1Schemas = "onelogin-v1-schemas"
	// OneLoginStringIntegers: an integer in a string, as every value that a
	// template takes from a person is (OneLogin documentation, "Define your SCIM
	// user schema").
	OneLoginStringIntegers = "onelogin-string-integers"
)

const oneLoginTolerances = tolOneLoginEmails | tolOneLoginManager | tolOneLoginSchemas | tolOneLoginIntegers

// The URNs of SCIM 1.1 (draft-scim-core-schema §5) that stand for today's.
var schemas1 = map[string]string{
	"urn:scim:schemas:core:1.0":                      UserSchema,
	"urn:scim:schemas:core:1.0:user":                 UserSchema,
	"urn:scim:schemas:extension:enterprise:1.0":      EnterpriseUserSchema,
	"urn:scim:schemas:extension:enterprise:1.0:user": EnterpriseUserSchema,
}
