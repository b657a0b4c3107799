//go:build race

package invariants

// raced says that the tests, and so the binary under test, run with the race
// detector. repetitions are then fewer.
const raced = true
