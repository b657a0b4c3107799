package simulate

import "github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"

// expectation is what a client counts on.
type expectation struct {
	name, what string
	// why says what comes of it when it is not so; by has the words for single
	// clients.
	why    string
	by     map[string]string
	source string
}

func (e *expectation) reason(client string) string {
	if why, ok := e.by[client]; ok {
		return why
	}
	return e.why
}

// What is expected of every answer.
var (
	isAnswered = &expectation{
		name: "answered", what: "the server answers, wholly and in time",
		why: "the client takes the request as failed",
		by: map[string]string{
			idp.Okta:  "Okta: after 60 seconds a request is given up and the task fails until an administrator retries it",
			idp.Entra: "Entra: the change waits for the next cycle, 40 minutes later; many failures put the application in quarantine",
		},
		source: `Okta, "SCIM FAQs" (60 s); Microsoft, howto-analyze-provisioning-logs.md`,
	}
	isNotRedirected = &expectation{
		name: "no-redirect", what: "the base URL leads to the server itself, not to a redirect",
		why:    "a client that followed would send its token to wherever the answer points",
		source: "RFC 7644 §7.5; RFC 6750 §5.3",
	}
	isNoServerError = &expectation{
		name: "no-server-error", what: "no answer is a server error (5xx; 501 is none)",
		why: "the client takes the request as failed",
		by: map[string]string{
			idp.Okta:  "Okta: any 5xx is a failed task, which waits until an administrator retries it",
			idp.Entra: "Entra: the change waits for the next cycle, 40 minutes later; it failed there once more",
		},
		source: `Okta, "Understanding SCIM"; Microsoft, howto-analyze-provisioning-logs.md`,
	}
	isJSON = &expectation{
		name: "json", what: "an answer that has a body is a JSON object",
		why: "the client cannot read the answer",
		by: map[string]string{
			idp.Entra: "Entra: an answer that is not SCIM puts the application in quarantine at once",
		},
		source: "RFC 7644 §3.8; Microsoft, application-provisioning-quarantine-status.md",
	}
	isMediaType = &expectation{
		name: "media-type", what: "an answer that has a body is application/scim+json, or application/json where the client accepts that",
		why: "the client may refuse to read the answer",
		by: map[string]string{
			idp.Entra: "Entra: plain application/json once ended the run of Microsoft's validator",
		},
		source: "RFC 7644 §3.1, §3.8; MicrosoftDocs/azure-docs#104859",
	}
	isError = &expectation{
		name: "error", what: "a refusal has the Error schema, its status as a string, and a detail",
		why: "the administrator sees no reason",
		by: map[string]string{
			idp.Okta: "Okta: the detail is what the administrator reads beside the failed task; its submission test wants all three",
		},
		source: `RFC 7644 §3.12; Okta, "SCIM protocol properties" and SPEC test`,
	}
	isRetryAfter = &expectation{
		name: "retry-after", what: "a 429 has Retry-After in whole seconds",
		why: "the client does not know when to come back",
		by: map[string]string{
			idp.Okta: "Okta: it understands whole seconds alone; a date, or none, makes it wait 5 minutes",
		},
		source: `RFC 6585 §4; Okta, "Understanding SCIM"`,
	}
	isLetIn = &expectation{
		name: "let-in", what: "who was answered 429 gets through before the client gives up",
		why: "the change is not made",
		by: map[string]string{
			idp.Okta:  "Okta: after ten attempts the task fails until an administrator retries it",
			idp.Entra: "Entra: the change waits for yet another cycle; many failures put the application in quarantine",
		},
		source: `Okta, "Understanding SCIM"; Microsoft, application-provisioning-quarantine-status.md`,
	}
)

// What is expected of the connection.
var (
	isBaseURL = &expectation{
		name: "base-url", what: "the base URL has no underscore",
		why:    "Okta: it refuses a base URL with an underscore",
		source: `Okta, "Prepare your SCIM API service"`,
	}
	isListed = &expectation{
		name: "list", what: "a list is answered 200",
		why: "the test of the connection fails",
		by: map[string]string{
			idp.Entra: "Entra: 404 for a list puts the application in quarantine, with the reason SCIM compliance",
		},
		source: "RFC 7644 §3.4.2; Microsoft, application-provisioning-quarantine-status.md",
	}
	isListShape = &expectation{
		name: "list-shape", what: "a list has the ListResponse schema, totalResults, and Resources, which is an array also when nothing is found",
		why: "the client cannot read the list",
		by: map[string]string{
			idp.Okta: "Okta: the test of the credentials and the submission test fail",
		},
		source: "RFC 7644 §3.4.2; Microsoft, use-scim-to-provision-users-and-groups.md; joelfranusic-okta/okta-scim-beta",
	}
	isNumbers = &expectation{
		name: "numbers", what: "totalResults, startIndex and itemsPerPage are JSON numbers",
		why: "the client cannot read the list",
		by: map[string]string{
			idp.Okta: "Okta: an import stops, and the submission test fails: all three are to be there, as numbers",
		},
		source: `RFC 7644 §3.4.2; Okta, "SCIM 2.0 Protocol Reference"; joelfranusic-okta/okta-scim-beta`,
	}
	isRefused = &expectation{
		name: "unauthorized", what: "a wrong token is answered 401",
		why:    "a token that ran out looks like another fault, and anybody may come in",
		source: "RFC 7644 §2, §3.12; Okta, SPEC test",
	}
	isSchemas = &expectation{
		name: "schemas", what: "/Schemas lists User and Group, and no null",
		why:    "Entra: the attributes of a gallery application cannot be mapped",
		source: "RFC 7644 §4; AzureAD/SCIMReferenceCode, Schema_Discoverability",
	}
)

// What is expected of people.
var (
	isNobody = &expectation{
		name: "filter-miss", what: "a filter that matches nobody is answered with an empty list",
		why: "the client takes somebody else for the person that it looks for, and overwrites that one",
		by: map[string]string{
			idp.Okta:  "Okta: it takes the first match and pushes the profile onto it: somebody else's",
			idp.Entra: "Entra: more than one match is DuplicateTargetEntries, one is another person's and is overwritten",
		},
		source: "RFC 7644 §3.4.2.2; Microsoft, how-provisioning-works.md; Okta, SPEC test",
	}
	isFound = &expectation{
		name: "filter-hit", what: "a filter that matches one person gives that person, once",
		why: "the client creates the person again and meets 409, or two of them",
		by: map[string]string{
			idp.Entra: "Entra: none is a create that ends in 409 for ever, more than one is DuplicateTargetEntries",
		},
		source: "RFC 7644 §3.4.2.2; Microsoft, howto-analyze-provisioning-logs.md",
	}
	isFoundInAnyCase = &expectation{
		name: "filter-case", what: "userName is found in any case",
		why:    "a person whose address is written otherwise is created a second time",
		source: "RFC 7643 §4.1.1 (caseExact false); Okta, SPEC test; Microsoft, SCIM Validator",
	}
	isCreated = &expectation{
		name: "created", what: "a create is answered 201",
		why: "the client takes the create as failed",
		by: map[string]string{
			idp.Okta: `Okta: the task fails; without a body with "Create new user returned empty user"`,
		},
		source: `RFC 7644 §3.3; Okta, "SCIM 2.0 Protocol Reference"`,
	}
	isID = &expectation{
		name: "id", what: `a created resource has an id of its own: a text that can stand in a path, without "bulkId"`,
		why:    "every later request is sent by the id",
		source: `RFC 7643 §3.1; Okta, "Prepare your SCIM API service"`,
	}
	isLocation = &expectation{
		name: "location", what: "a create's answer has the header Location",
		why: "the resource's address is not known", source: "RFC 7644 §3.3",
	}
	isResource = &expectation{
		name: "resource", what: "a resource has schemas and meta.resourceType",
		why: "the client cannot tell what it got", source: "RFC 7643 §3, §3.1",
	}
	isEcho = &expectation{
		name: "as-sent", what: "a user reads as it was sent: userName, name, emails, and active as a JSON boolean",
		why: "the client sends the same again and again",
		by: map[string]string{
			idp.Entra: "Entra: what differs is sent again in every cycle",
		},
		source: "RFC 7644 §3.3; AzureAD/SCIMReferenceCode, User_Create",
	}
	isSecret = &expectation{
		name: "password", what: "no answer has a password",
		why: "whoever reads the directory reads it", source: "RFC 7643 §4.1.1 (returned never)",
	}
	isConflict = &expectation{
		name: "duplicate", what: "a second create of the same person is answered 409",
		why: "the person is there twice, or the client takes the create as done by another id",
		by: map[string]string{
			idp.Okta: "Okta: a create is sent again when its answer was lost; anything but 409 makes a second account or an unclear failure",
		},
		source: "RFC 7644 §3.3, §3.12; Okta, SPEC test; Microsoft, SCIM Validator",
	}
	isUniqueness = &expectation{
		name: "uniqueness", what: "that 409 has the scimType uniqueness",
		why: "the client cannot tell which conflict it is", source: "RFC 7644 §3.3, §3.12",
	}
	isRead = &expectation{
		name: "read", what: "a user is read by its id",
		why: "the client takes the person as gone",
		by: map[string]string{
			idp.Entra: "Entra: a 404 for an id that it knows is InvalidAnchor, which ends only when the job is restarted",
			idp.Okta:  "Okta: an update begins with this read",
		},
		source: "RFC 7644 §3.4.1; Microsoft, known-issues.md",
	}
	isUpdated = &expectation{
		name: "updated", what: "an update is answered 200 with the user, or 204",
		why: "the client takes the update as failed", source: "RFC 7644 §3.5.1, §3.5.2",
	}
	isChanged = &expectation{
		name: "changed", what: "after an update the user reads with the new values",
		why: "the person keeps the old ones", source: "RFC 7644 §3.5; AzureAD/SCIMReferenceCode, User_Update",
	}
	isUntouched = &expectation{
		name: "untouched", what: "an update leaves alone what it does not mention, active above all",
		why: "the person loses data or access by an unrelated change", source: "RFC 7644 §3.5.2",
	}
	isRenamed = &expectation{
		name: "renamed", what: "a renamed person is found by the new userName, under the same id, and not by the old one",
		why: "the client creates the person again", source: "RFC 7643 §3.1, §4.1.1; Microsoft, SCIM Validator",
	}
	isDisabled = &expectation{
		name: "disabled", what: "a disabled user reads active: false, a JSON boolean",
		why: "the person keeps access",
		by: map[string]string{
			idp.Entra:    `Entra: without its flag it sends "False", a text, which a naive server takes for true: the person keeps access`,
			idp.OneLogin: `OneLogin: its template sends "false", a text, which a naive server takes for true: the person keeps access`,
		},
		source: "RFC 7643 §4.1.1; Microsoft, application-provisioning-config-problem-scim-compatibility.md",
	}
	isStillThere = &expectation{
		name: "disabled-found", what: "a disabled user is still read by its id and found by a filter",
		why: "the client creates the person again and meets 409",
		by: map[string]string{
			idp.Okta:  "Okta: a deactivated user must still be found by the filter, otherwise it sends a create when the person comes back, and meets 409",
			idp.Entra: "Entra: a disabled user that cannot be found is created again when the person comes back, and meets 409",
		},
		source: "devforum.okta.com 27262, 24187; Microsoft, how-provisioning-works.md",
	}
	isRestored = &expectation{
		name: "restored", what: "a person who comes back has the same id and the same data, and is active",
		why: "the client goes on with the id that it knows, which leads nowhere",
		by: map[string]string{
			idp.Okta: "Okta: it keeps the id; another one after a reactivation is a user that it cannot manage",
		},
		source: `Okta, "SCIM 2.0 Protocol Reference" and manual test plan; Microsoft, known-issues.md`,
	}
	isManager = &expectation{
		name: "manager", what: "a manager that is added as a text reads as an object with value, inside the enterprise extension",
		why:    "Entra: a text is an answer that it cannot read; a manager elsewhere is sent again in every cycle",
		source: "RFC 7643 §4.3; AzureAD/SCIMReferenceCode, Manager; Budibase/budibase#15369; MicrosoftDocs/azure-docs#11784",
	}
	isEntry = &expectation{
		name: "value-path", what: `an operation on phoneNumbers[type eq "mobile"].value where there is no such entry makes it, and leaves the others`,
		why:    "Entra: the default mappings are of this kind: the update fails in every cycle",
		source: "Captain-P-Goldfish/SCIM-SDK#416; thomaspoignant/scim-patch#42, #176",
	}
	isEmptyPatch = &expectation{
		name: "empty-patch", what: "a PATCH with no operations succeeds",
		why:    "Entra: Microsoft's validator sends one",
		source: "Microsoft, SCIM Validator (scimmyjs/scimmy#59)",
	}
	isGone = &expectation{
		name: "not-found", what: "an id that nobody has is answered 404",
		why: "the client cannot tell whether the resource is gone", source: "RFC 7644 §3.4.1, §3.12; Okta, SPEC test",
	}
	isDeleted = &expectation{
		name: "deleted", what: "a delete is answered 204, and a second one 404",
		why: "the client takes the delete as failed", source: "RFC 7644 §3.6; Microsoft, SCIM Validator",
	}
)

// What is expected of paging.
var (
	isTotal = &expectation{
		name: "total", what: "totalResults is the number of resources that the pages have, the same on every page",
		why:    "an import stops early or never",
		source: `RFC 7644 §3.4.2.4; Okta, "SCIM 2.0 Protocol Reference"`,
	}
	isOnce = &expectation{
		name: "no-repeats", what: "no resource is on two pages",
		why:    "people are imported twice and others not at all",
		source: `RFC 7644 §3.4.2.4; Okta, "SCIM 2.0 Protocol Reference"`,
	}
	isStable = &expectation{
		name: "stable-order", what: "the pages have the same order when they are read again",
		why:    "people are imported twice and others not at all",
		source: `Okta, "SCIM 2.0 Protocol Reference": the order must be stable`,
	}
	isStart = &expectation{
		name: "start-index", what: "a page has the startIndex that was asked for, and not more than count resources",
		why:    "the next page is computed from it",
		source: "RFC 7644 §3.4.2.4; AzureAD/SCIMReferenceCode, User_Pagination",
	}
	isAllThere = &expectation{
		name: "complete", what: "everybody who was created is on the pages",
		why: "an import does not see them", source: "RFC 7644 §3.4.2",
	}
)

// What is expected of groups.
var (
	isGroupFound = &expectation{
		name: "group-found", what: "a group is found by its displayName, once",
		why:    "the client makes the group again",
		source: `RFC 7644 §3.4.2.2; Okta, "SCIM 2.0 Protocol Reference"; Microsoft, use-scim-to-provision-users-and-groups.md`,
	}
	isWithoutMembers = &expectation{
		name: "excluded-members", what: "excludedAttributes=members leaves the members out",
		why:    "Entra: members that come all the same are the failure MultipleEntriesInResponse, and slow for large groups",
		source: "RFC 7644 §3.4.2.5; Microsoft, use-scim-to-provision-users-and-groups.md",
	}
	isGroupUpdated = &expectation{
		name: "group-updated", what: "a change of a group is answered 200 or 204",
		why: "the client takes the change as failed", source: "RFC 7644 §3.5.1, §3.5.2",
	}
	isMembers = &expectation{
		name: "members", what: "after a change of its members a group has exactly these, each once",
		why: "people have a role that they must not have, or have not the one that is due", source: "RFC 7644 §3.5.2",
	}
	isKept = &expectation{
		name: "rename-keeps-members", what: "a group's new name leaves its members alone",
		why: "everybody loses the group's role by a change of its name",
		by: map[string]string{
			idp.Okta: "Okta: its operation names the group with every change of members; taken for the whole group it empties it",
		},
		source: `Okta, "SCIM 2.0 Protocol Reference"; Captain-P-Goldfish/SCIM-SDK#757; langwatch/langwatch#7131`,
	}
	isAgain = &expectation{
		name: "added-again", what: "adding a member who is in, and removing one who is not, succeed and change nothing",
		why: "a request that is sent again fails for ever", source: "RFC 7644 §3.5.2.1; SimpleIdServer/SimpleIdServer#244, #245; Infisical/infisical#6471",
	}
	isOnlyThat = &expectation{
		name: "removed-alone", what: "removing one member takes that one and nobody else",
		why: "everybody loses the group's role when one person leaves it",
		by: map[string]string{
			idp.Entra:     "Entra: its removal is a list of values under the path members; a server that overlooks the list empties the group",
			idp.JumpCloud: "JumpCloud: its removal is a list of values under the path members; a server that overlooks the list empties the group",
		},
		source: "RFC 7644 §3.5.2.2; Microsoft, application-provisioning-config-problem-scim-compatibility.md",
	}
	isMember = &expectation{
		name: "membership-filter", what: "a filter on a group's id and a member finds the group while that person is in it, and nothing afterwards",
		why:    "Entra: it may ask so before every change of a member",
		source: "Microsoft, use-scim-to-provision-users-and-groups.md",
	}
	isRemembered = &expectation{
		name: "membership-kept", what: "a person who is disabled and comes back is in the same groups",
		why: "the person comes back without a role",
		by: map[string]string{
			idp.Entra: "Entra: it does not send the memberships again when a person comes back",
		},
		source: "Microsoft, how-provisioning-works.md",
	}
	isTogether = &expectation{
		name: "parallel-members", what: "after many changes of members at once the group has exactly the right ones, each once",
		why:    "a server that reads, changes and writes the whole list loses members without any error",
		source: "fleetdm/fleet#50724; Captain-P-Goldfish/scim-for-keycloak#90, #107; scimmyjs/scimmy#79",
	}
)
