// Package simulate plays a provisioning client against any SCIM 2.0 server and
// reports what that client would have met there: it tests the connection,
// looks people up, creates, reads, changes, disables and restores them, pushes
// groups, changes members many at once, and waits as the client waits.
//
// Its requests are those of package idp; what it expects of the answers is in a
// table of its own, each with its source. It shares nothing with a server: that
// would hide a mistake from both.
//
// The server is not trusted. Answers are read up to a size and for a time,
// redirects are not followed, ids stay one segment of a path, and what is
// quoted in a report has no control characters and no token. Nothing is
// written to a user or group that the run did not create.
package simulate
