//go:build race

package simulate_test

// raced says that the tests run with the race detector, which makes them many
// times slower and looks at how requests meet, not at what each of them says:
// then two clients are played against the bridge, in one way each.
const raced = true
