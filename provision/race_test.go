//go:build race

package provision_test

// raced says that the tests run with the race detector: then fewer histories are
// tried.
const raced = true
