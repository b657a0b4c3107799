package lint

// The rules about what is stored. They are asked when findings are shown.
var (
	tokenUnused = &Rule{
		Code: "token-unused", Severity: Warning, about: aName,
		Title:  "Tokens were not used for 30 days",
		Why:    "Nobody may miss them; whoever finds one can use it.",
		Remedy: "scim-bridge token revoke ID, unless provisioning is only paused.",
	}
	tokenNeverUsed = &Rule{
		Code: "token-never-used", Severity: Notice, about: aName,
		Title:  "Tokens were never used since they were created, a week ago or longer",
		Why:    "They may not have been put into the identity provider, or not the way it was meant.",
		Remedy: "Put the token into the identity provider and test the connection there, or scim-bridge token revoke ID.",
		Where: map[string]string{
			"entra":    entraToken + ", then Test Connection",
			"okta":     oktaToken + ", then Test API Credentials",
			"onelogin": oneLoginKey + ", then API Status: Enable",
		},
	}
	tokenExpires = &Rule{
		Code: "token-expires", Severity: Warning, about: aName,
		Title:  "Tokens in use expire within 30 days",
		Why:    "From then on every request with them is 401. Entra pauses the job for that.",
		Remedy: "scim-bridge token create, put the new one into the identity provider, then revoke the old one.",
		Where: map[string]string{
			"entra":    "scim-bridge token create --client entra, then " + entraToken,
			"okta":     "scim-bridge token create --client okta, then " + oktaToken,
			"onelogin": "scim-bridge token create --client onelogin, then " + oneLoginKey,
		},
	}
	tokenExpired = &Rule{
		Code: "token-expired", Severity: Error, about: aName,
		Title:  "A token that was in use has expired, and no other is used since",
		Why:    "Every request with it is 401: nobody is provisioned.",
		Remedy: tokenExpires.Remedy,
		Where:  tokenExpires.Where,
	}
	directoryOld = &Rule{
		Code: "directory-old", Severity: Error,
		Title:  "The directory could not be read for two intervals",
		Why:    "Lists and imports are 503 until it is read again; requests for single people go on.",
		Remedy: "See the server's log; most often the upstream secret was renewed: scim-bridge tenant apply with the new one.",
	}
	unusable = &Rule{
		Code: "tenant-unusable", Severity: Error,
		Title:  "The tenant cannot be served",
		Why:    "Every request is 503.",
		Remedy: "Give the server the key that sealed the tenant's secrets, or scim-bridge tenant apply again.",
	}
	ruleIdle = &Rule{
		Code: "rule-matches-nothing", Severity: Warning, about: aName,
		Title:  "Rules match none of the groups that were pushed",
		Why:    "They give no role to anybody. A group may have another displayName than the rule says, or may not be pushed.",
		Remedy: "Correct match in tenant.yaml, or push the group; scim-bridge tenant what-if shows what a change does.",
		Where: map[string]string{
			"entra": "Entra ID › Enterprise apps › (the app) › Users and groups: assign the group; or correct match in tenant.yaml",
			"okta":  oktaPush + ": push the group; or correct match in tenant.yaml",
		},
	}
	groupsIdle = &Rule{
		Code: "groups-without-rules", Severity: Warning, about: aGroup,
		Title:  "Groups with members are pushed, and no rule uses groups",
		Why:    "The groups give nothing: everybody has the default role.",
		Remedy: "Write rules in tenant.yaml, or stop pushing groups.",
		Where: map[string]string{
			"entra": "Write rules in tenant.yaml; or " + entraGroups + " › Enabled: No",
			"okta":  "Write rules in tenant.yaml; or " + oktaPush + ": unlink the groups",
		},
	}
	guardHolds = &Rule{
		Code: "guard-holds", Severity: Error, about: aName,
		Title:  "Guards hold changes",
		Why:    "They are above the tenant's limits and were not done; the client sends them again.",
		Remedy: "scim-bridge tenant guard show, and tenant guard release if they are meant.",
	}
	mailsAnyway = &Rule{
		Code: "send-mail-without-provider", Severity: Warning,
		Title:  "send_mail is off, but invites are mailed all the same",
		Why:    "Share A Refund holds the mail back only where an identity provider lets people in, and the tenant names none.",
		Remedy: "Set identity_provider in tenant.yaml.",
	}
	invitesOver = &Rule{
		Code: "invites-expired", Severity: Notice, about: aPerson,
		Title:  "People did not accept their invite before it expired",
		Why:    "They have no access. The bridge sends an invite again as often as invites.resend_expired says, and not more.",
		Remedy: "Deactivate and activate the person in the identity provider: that invites it anew.",
	}
)

// stateRules lists them.
var stateRules = []*Rule{
	tokenUnused, tokenNeverUsed, tokenExpires, tokenExpired, directoryOld, unusable, ruleIdle, groupsIdle, guardHolds, mailsAnyway, invitesOver,
}

// Rules lists all that is looked for.
func Rules() []Rule {
	all := make([]Rule, 0, len(trafficRules)+len(stateRules))
	all = append(all, trafficRules[:]...)
	for _, r := range stateRules {
		all = append(all, *r)
	}
	return all
}
