//go:build race

package main

// raced says that the tests run with the race detector: then every second script
// is run, each of which starts processes of its own.
const raced = true
