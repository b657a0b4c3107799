// Package server speaks SCIM over HTTP (RFC 7644): it authenticates, routes,
// reads requests strictly, hands them to a handler as values and writes what
// the handler answers. It knows no tenant but the credential's.
//
// A request passes the layers in this order; each may refuse it, and every
// refusal is a SCIM error (RFC 7644 §3.12) written in one place:
//
//	limits → path → authentication → route → body and query → dialect → handler → answer
//
// Authentication lies outside the router, so that no path, known or unknown,
// is answered without it except one that is malformed (404).
package server
