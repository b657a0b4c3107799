//go:build race

package scim_test

// raced says that the tests run with the race detector: then every fifth of
// the wire fixtures is played, each of which has a stack of its own.
const raced = true
