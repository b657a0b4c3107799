package lint

import (
	"time"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
	// month is how long what is wrong with a person or group is believed: it
	// may well not be sent again, and is no better for it.
	month = 30 * day
)

// trafficRules are about what provisioning clients send.
var trafficRules = [codes]Rule{
	entraFlag: {
		Code: "entra-without-flag", Severity: Notice, keep: week, grace: week,
		Title:  "Microsoft Entra provisions without ?aadOptscim062020",
		Why:    "The bridge understands Entra's own form of PATCH too. With the flag Entra keeps to RFC 7644: booleans are booleans, one operation changes several attributes, and a member is removed by a path that names it.",
		Remedy: "Append ?aadOptscim062020 to the SCIM base URL that the client was given.",
		Where:  map[string]string{"entra": entraURL + ": append ?aadOptscim062020, then Test Connection and Save"},
		Source: docCompatibility,
	},
	clientKind: {
		Code: "client-kind-differs", Severity: Warning, keep: week,
		Title:  "A token that was created for another client is used by Microsoft Entra",
		Why:    "The requests carry Entra's flag, but Entra's departures from the standard are not tolerated with this token: some of its requests are refused.",
		Remedy: "scim-bridge token create --client entra, and put it into " + entraToken + "; then revoke the old one.",
	},
	severalClients: {
		Code: "several-clients", Severity: Warning, keep: week,
		Title:  "One token is used by several kinds of client",
		Why:    "The events of the clients cannot be told apart, a token cannot be replaced for one of them alone, and both may change the same people.",
		Remedy: "Give each client a token of its own: scim-bridge token create --client …",
	},
	externalID: {
		Code: "entra-external-id", Severity: Warning, keep: month, about: aPerson,
		Title:  "externalId is not Entra's object id",
		Why:    "Entra maps mailNickname to externalId unless told otherwise. It changes when a person is renamed, and a new person can get an old one; the object id never changes.",
		Remedy: "Map the object id to externalId.",
		Where:  map[string]string{"entra": entraUsers + " › externalId: source attribute objectId, Save; then " + entraRun},
		Source: docSCIM,
	},
	noEmail: {
		Code: "no-email", Severity: Error, keep: month, about: aPerson,
		Title:  "People come without a usable e-mail address",
		Why:    "userName is no e-mail address and emails has none that an invite can be sent to, so nobody can be invited: such people are refused.",
		Remedy: "Map an e-mail address to emails, with type work.",
		Where: map[string]string{
			"entra":     entraUsers + ": map mail, or userPrincipalName, to emails[type eq \"work\"].value",
			"okta":      oktaToApp + " › Attribute Mappings: map user.email to email",
			"onelogin":  oneLogin + ": \"emails\": [{\"value\": \"{$user.email}\", \"type\": \"work\", \"primary\": true}]",
			"jumpcloud": jumpCloud + ": export email",
		},
	},
	userName: {
		Code: "user-name-not-email", Severity: Notice, keep: month, about: aPerson,
		Title:  "userName is not an e-mail address",
		Why:    "It works, as emails has an address. But accounts that were at Share A Refund before have their e-mail address as userName, so a client that looks for them by userName does not find them.",
		Remedy: "Map the e-mail address to userName, if people have accounts already.",
		Where: map[string]string{
			"entra":     entraUsers + " › userName: source attribute userPrincipalName, or mail",
			"okta":      "Applications › Applications › (the app) › Sign On › Edit › Application username format: Email",
			"onelogin":  oneLoginRef + " › scimusername: Email",
			"jumpcloud": jumpCloud + ": export email as userName",
		},
		Source: docOktaMapping,
	},
	tombstone: {
		Code: "entra-deleted-name", Severity: Notice, keep: week, about: aPerson,
		Title:  "Entra sends the names of deleted people",
		Why:    "A deleted user's name begins with 32 hexadecimal digits. The bridge keeps the address that the person had; the name is shown by filters and lists.",
		Remedy: "Nothing has to be done: Entra restores the name with the user, and sends DELETE when the user is deleted for good.",
		Where:  map[string]string{"entra": "Entra ID › Users › Deleted users: restore them, or delete them permanently"},
		Source: docHow,
	},
	nameMissing: {
		Code: "name-missing", Severity: Notice, keep: month, about: aPerson,
		Title:  "People come without name.givenName or name.familyName",
		Why:    "Share A Refund shows them without that part of the name, and invites do not address them by it.",
		Remedy: "Map the first and the last name.",
		Where: map[string]string{
			"entra":     entraUsers + ": map givenName to name.givenName and surname to name.familyName",
			"okta":      oktaToApp + " › Attribute Mappings: givenName and familyName",
			"onelogin":  oneLogin + ": \"name\": {\"givenName\": \"{$user.firstname}\", \"familyName\": \"{$user.lastname}\"}",
			"jumpcloud": jumpCloud + ": export firstname and lastname",
		},
	},
	emailType: {
		Code: "email-not-work", Severity: Notice, keep: month, about: aPerson,
		Title:  "emails has no entry of type work",
		Why:    "Which of several addresses is meant is not said, and the default look-up by emails[type eq \"work\"].value finds nobody.",
		Remedy: "Send the address with type work.",
		Where: map[string]string{
			"entra":    entraUsers + ": map mail to emails[type eq \"work\"].value",
			"onelogin": oneLogin + ": \"emails\": [{\"value\": \"{$user.email}\", \"type\": \"work\", \"primary\": true}]",
		},
		Source: docSCIM,
	},
	rolesUnread: {
		Code: "roles-not-read", Severity: Notice, keep: week, about: aPerson,
		Title:   "The client sends roles, which this tenant does not read",
		Why:     "roles_attribute is off: roles are kept and shown, and give nothing.",
		Remedy:  "Set roles_attribute: true in tenant.yaml if they are to give roles; otherwise remove the mapping.",
		Where:   map[string]string{"entra": "Set roles_attribute: true in tenant.yaml if they are to give roles; otherwise " + entraUsers + ": delete the mapping of roles"},
		applies: func(c *tenantconfig.Config) bool { return !c.RolesAttribute },
	},
	rolesStay: {
		Code: "entra-roles-stay", Severity: Warning, keep: week, about: aPerson,
		Title:   "Roles that are taken away in Entra stay",
		Why:     "AppRoleAssignmentsComplex adds roles and never sends that one was removed.",
		Remedy:  "Use an expression that sends the whole list.",
		Where:   map[string]string{"entra": entraUsers + " › roles: expression AssertiveAppRoleAssignmentsComplex([appRoleAssignments])"},
		Source:  docAttributes,
		applies: func(c *tenantconfig.Config) bool { return c.RolesAttribute },
	},
	passwordUnused: {
		Code: "password-not-used", Severity: Notice, keep: week, about: aPerson,
		Title:  "The client sends passwords, which this tenant does not pass on",
		Why:    "reset_password is off: passwords are read past. They need not leave the identity provider.",
		Remedy: "Stop sending passwords, or set reset_password: true in tenant.yaml.",
		Where: map[string]string{
			"okta":  oktaToApp + " › Edit › Sync Password: off (or set reset_password: true in tenant.yaml)",
			"entra": entraUsers + ": delete the mapping of password",
		},
		Source:  docOktaSCIM,
		applies: func(c *tenantconfig.Config) bool { return !c.ResetPassword },
	},
	attributeUnknown: {
		Code: "attribute-unknown", Severity: Notice, keep: week, about: aName,
		Title:  "The client sends attributes that the bridge does not have",
		Why:    "They are left out; everything else in the same request is done. A name that no schema has is not kept, it could be somebody's: GET /Schemas lists those that the bridge has.",
		Remedy: "Remove their mappings.",
		Where: map[string]string{
			"entra":     entraUsers + ": delete the mappings of these target attributes",
			"okta":      oktaToApp + " › Attribute Mappings: delete these mappings (X)",
			"onelogin":  oneLogin + ": take these attributes out",
			"jumpcloud": jumpCloud + ": do not export them",
		},
		Source: docOktaMapping,
	},
	filterRefused: {
		Code: "filter-refused", Severity: Error, keep: week, about: aName,
		Title:  "Look-ups are refused",
		Why:    "The filter is not one of RFC 7644, so the client does not find who is there already.",
		Remedy: "Match people by userName, externalId or an e-mail address; scim-bridge events and the client's log have the answer.",
		Where:  map[string]string{"entra": entraUsers + ": Match objects using this attribute, for userName or externalId alone"},
		Source: docAttributes,
	},
	filterUnquoted: {
		Code: "filter-unquoted", Severity: Error, keep: week, about: aName,
		Title:  "The client sends filters whose value has no quotes",
		Why:    "RFC 7644 wants userName eq \"ada@example.com\"; without the quotes the filter is refused.",
		Remedy: "Correct the client; if it is Microsoft Entra, create its token with --client entra, which tolerates this.",
	},
	recreated: {
		Code: "user-recreated", Severity: Error, keep: week, about: aPerson,
		Title:  "The identity provider wants to create people who are there under another externalId",
		Why:    "The person was created anew in the identity provider, or a second app provisions into the same tenant. The create is answered 409 and the client does not go on with this person.",
		Remedy: "Let the client match people by userName, so that it takes the person over; or delete the old one first.",
		Where: map[string]string{
			"entra": entraUsers + " › userName: Match objects using this attribute, Yes; and see that only one app provisions here",
			"okta":  "Applications › Applications › (the app) › Import: match the person; and see that only one app provisions here",
		},
		Source: docAttributes,
	},
	notAdopted: {
		Code: "account-not-adopted", Severity: Error, keep: month, about: aPerson,
		Title:  "Accounts that were at Share A Refund before are not handed over",
		Why:    "The tenant's adopt policy, or a domain that is not verified, leaves them to an operator; what the client sends for them is refused.",
		Remedy: "If they are the tenant's people: scim-bridge person adopt --tenant … ID; or add the domain to domains in tenant.yaml.",
	},
	memberUnknown: {
		Code: "group-before-members", Severity: Error, keep: week, about: aGroup,
		Title:  "Groups are pushed before their members",
		Why:    "A member that is not provisioned is unknown here, and the whole change of the group is refused.",
		Remedy: "Assign the people to the app before their group is pushed.",
		Where: map[string]string{
			"okta":      "Applications › Applications › (the app) › Assignments: assign the members; then " + oktaPush + " › (the group) › Push now. Assign by another group than the one that is pushed",
			"entra":     "Entra ID › Enterprise apps › (the app) › Users and groups: assign the members; then " + entraRun,
			"jumpcloud": jumpCloud + ": let the users be exported before the groups",
		},
		Source: docHow,
	},
	nested: {
		Code: "group-nested", Severity: Warning, keep: week, about: aGroup,
		Title:  "Groups are pushed as members of groups",
		Why:    "Nested groups are not supported: the change of the outer group is refused.",
		Remedy: "Put the people into the group themselves.",
		Where: map[string]string{
			"entra": "Entra ID › Groups › (the group) › Members: add the people of the inner group; assign the inner group to the app too if it gives roles",
		},
		Source: docHow,
	},
	idUnknown: {
		Code: "id-unknown", Severity: Error, keep: week, about: anObject, least: 2,
		Title:  "The client changes people or groups that are not here any more",
		Why:    "It remembers the id of something that was deleted. Its changes are lost until it looks again.",
		Remedy: "Let the client look for them again.",
		Where: map[string]string{
			"entra": entraRun + ": this makes Entra look everybody up again",
			"okta":  "Applications › Applications › (the app) › Assignments: remove the person and assign it again; a group: " + oktaPush + " › unlink, and push it again",
		},
		Source: docLogs,
	},
	refusedAgain: {
		Code: "refused-again", Severity: Error, keep: week, about: anObject, least: 3,
		Title:  "The same people or groups are refused again and again",
		Why:    "The client repeats what cannot be done, and these people or groups stay as they are.",
		Remedy: "scim-bridge events --failed says why, for each of them.",
		Where: map[string]string{
			"entra": "Entra ID › Enterprise apps › (the app) › Provisioning logs has the reason; so has scim-bridge events --failed",
			"okta":  "Dashboard › Tasks has the reason; so has scim-bridge events --failed",
		},
	},
	rateLimited: {
		Code: "rate-limited", Severity: Warning, keep: day, least: 10,
		Title:  "The bridge's own rate limit slows the client down",
		Why:    "Requests above limits.rate_limit are answered 429. Okta gives a task up after ten of them, Entra may pause the whole job.",
		Remedy: "Raise limits.rate_limit in the server's settings: Entra wants at least 25 requests a second.",
		Source: docOktaSCIM,
	},
}
