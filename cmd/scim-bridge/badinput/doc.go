// Package badinput holds no code, only tests: what clients send by mistake or
// on purpose, row by row, over HTTP through the whole bridge. The judge is the
// sandbox's ledger: a refusal changed nothing upstream (I9), and nothing that
// is merely malformed ever deactivates anybody (I17).
package badinput
