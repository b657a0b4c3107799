package scim

// Okta sends nothing that every client may not send, but for operations on
// attributes that we do not have: its profile mappings, like Entra's, grow by
// hand, and an operation that cannot be applied must not block the
// deactivation beside it (UnknownAttributeSkipped). The password that it
// always sends on create, the read-only attributes that its PUT echoes, and
// {id, displayName} without a path need no tolerance beyond dialect_any.go
// (Okta SCIM 2.0 documentation, "Create users", "Update a specific user").
const oktaTolerances = tolUnknownSkipped
