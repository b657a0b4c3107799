// Package mapping decides what a SCIM user means upstream and back: which
// profile, memberships and role a person is due, which ordered steps lead
// there from what upstream shows, and what of it a provisioning client sees.
//
// Everything here is a pure function of its arguments: no I/O, no clock, no
// context; inputs are never changed.
package mapping
