package lint

// Where administrators click. The wording is that of the vendors' current
// documentation; "(the app)" is theirs.
const (
	entraUsers  = "Entra ID › Enterprise apps › (the app) › Provisioning › Mappings › Provision Microsoft Entra ID Users"
	entraGroups = "Entra ID › Enterprise apps › (the app) › Provisioning › Mappings › Provision Microsoft Entra ID Groups"
	entraURL    = "Entra ID › Enterprise apps › (the app) › Provisioning › Admin Credentials (in newer portals Connectivity) › Tenant URL"
	entraToken  = "Entra ID › Enterprise apps › (the app) › Provisioning › Admin Credentials (in newer portals Connectivity) › Secret Token"
	entraRun    = "Entra ID › Enterprise apps › (the app) › Provisioning › Overview › Restart provisioning"
	oktaToApp   = "Applications › Applications › (the app) › Provisioning › To App"
	oktaPush    = "Applications › Applications › (the app) › Push Groups"
	oktaToken   = "Applications › Applications › (the app) › Provisioning › Integration › Edit"
	oneLogin    = "Applications › Applications › (the app) › Configuration › SCIM JSON Template"
	oneLoginRef = "Applications › Applications › (the app) › Parameters"
	oneLoginKey = "Applications › Applications › (the app) › Configuration › SCIM Bearer Token"
	jumpCloud   = "SSO Applications › (the app) › Provisioning (formerly Identity Management)"
)

// Documentation that rules rest on.
const (
	docCompatibility = "Microsoft Entra documentation, application-provisioning-config-problem-scim-compatibility: flags to alter the SCIM behaviour"
	docSCIM          = "Microsoft Entra documentation, use-scim-to-provision-users-and-groups: default attribute mappings"
	docAttributes    = "Microsoft Entra documentation, customize-application-attributes"
	docHow           = "Microsoft Entra documentation, how-provisioning-works"
	docLogs          = "Microsoft Entra documentation, howto-analyze-provisioning-logs: InvalidAnchor"
	docOktaSCIM      = "Okta documentation, SCIM 2.0 protocol reference"
	docOktaMapping   = "Okta documentation, view existing application attribute mapping; remove mapping"
)
