// Package sandbox is a complete implementation of the Share A Refund API, both of its families (the Users API in
// snake_case and the User Management API in PascalCase), for development, demonstrations and tests. It keeps the
// rules of the service: one account per person over the whole platform, memberships with a role and a state each,
// invites that expire, weights, the last owner, visibility by credential, paging, token expiry and the rate limit.
// It shares no code with the client in package upstream: a shared struct would hide a wrong field name from both.
//
// Two ways in: New and Handler in-process, or Serve on a listener. upstream/openapi.yaml describes every operation.
//
// # What a credential sees and touches
//
// A client credential sees the accounts that belong, or are invited, to an organization it manages, and the invites
// to those organizations. A record that it sees is shown whole, with the memberships in everybody else's
// organizations too, so that a caller can know that a person is shared. An account that create_user made is seen
// by nobody until set_role, by the credential that created it, gives it its first membership. A credential that names
// an organization it does not manage is answered 403. A person's token (token exchange) serves /users/me only.
//
// # Ledger
//
// Every effect leaves one ledger entry per person concerned; a call that was refused or changed nothing leaves none.
// Before and After are the account's record (Users API form), or the invite's (User Management form) when no account
// is concerned; "invites" carries the invites that changed with it. The expiry of an invite is the clock's doing, not
// an effect, and leaves no entry. An account that is removed has a null "after".
//
// # Faults
//
// SetFaults, or PUT /_sandbox/faults, replaces the list of rules; see Rule for the fields. Rules are tried in order
// and the first that is due fires; every rule counts all calls that match it. A call passes these points in turn:
//
//	delay, gate, hang, kill (when "before") → cut before → status → the call itself
//	→ kill → delay, gate, hang (when "after") → cut after → body
//
// # The side door
//
// With Options.Control the handler also serves, without any authentication and in JSON:
//
//	GET  /_sandbox/state         accounts, invites, organizations, roles, identity_providers, as their API shows them
//	GET  /_sandbox/ledger        {"entries":[…]}; ?after=SEQ leaves out what came up to that number
//	GET  /_sandbox/stats         {"calls":{…},"people_invited":0,"rate_limited":0}
//	GET  /_sandbox/outbox        {"mails":[…]}
//	POST /_sandbox/accept        {"email"}: the person follows the link of every pending invite; 409 when there is none
//	POST /_sandbox/reset         back to the seeds; ledger, outbox, statistics, rules and gates are emptied
//	GET, PUT /_sandbox/faults    {"rules":[…]}
//	GET  /_sandbox/gates         {"gates":[{"name","open","waiting"}]}
//	POST /_sandbox/gates         {"name"}: opens a gate; it stays open until the rules are replaced
//	POST /_sandbox/edit          see Edit: someone changes a person behind the API's back
//	POST /_sandbox/account       see NewAccount: an account with memberships in any organizations
//	POST /_sandbox/id_token      {"identity_provider_id","subject","email"} → {"id_token"} for token exchange
//	POST /_sandbox/revoke_tokens every bearer token issued so far is answered 401; API keys stay
//
// Edits bypass the rules (weights, last owner, visibility) and are ledger entries of operation "edit".
//
// # Data file
//
// With Options.DataFile the sandbox keeps its state and ledger in a journal: the file is created whole (temporary
// file, fsync, rename), every call's effects are appended as one line before the call is answered, and a line that
// a killed process left unfinished is dropped at the next start. Appended lines reach the operating system, not
// necessarily the disk, before the answer: they survive kill -9 of the process; Close syncs. Statistics, rules
// and tokens revoked are not kept. If the file cannot be written, every later call is answered 500: a sandbox that
// forgets what it acknowledged would be a false judge. One process at a time may use a file.
package sandbox
