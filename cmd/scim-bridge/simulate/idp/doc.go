// Package idp writes the requests of provisioning clients as they are on the
// wire: Okta in its two kinds, Microsoft Entra ID with and without its flag,
// OneLogin and JumpCloud.
//
// Every shape follows what its client's maker publishes, or a report that has
// the real request; the source stands beside the shape. The encoders are the
// package's own: sharing types with a server would hide a wrong attribute name
// from both. What no source describes is written as RFC 7644 has it, and the
// comment says so.
//
// All functions are pure and may be called from several goroutines.
package idp
