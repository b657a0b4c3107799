// Package scim holds the protocol of RFC 7643 and RFC 7644: typed resources,
// strict decoding, filters, PATCH, projection and errors. It knows nothing of
// what stands behind the resources; package scim/server speaks HTTP.
package scim
