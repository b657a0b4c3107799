//go:build race

package badinput

// raced says that the tests run with the race detector, which makes them many
// times slower and looks at how requests meet, not at what each of them says:
// then every tenth row is sent.
const raced = true
