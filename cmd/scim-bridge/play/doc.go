// Package play is a provisioning client that plays a short onboarding of people
// and groups against a bridge, as a known client sends it, and shows every
// request, what arrived upstream, and the roles that people hold there in the
// end. The requests are those of package idp.
package play
