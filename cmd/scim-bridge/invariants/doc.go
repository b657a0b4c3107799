// Package invariants holds the tests of what must always hold (I1 to I17,
// docs/invariants.md). They run the real binary: two `serve` processes on one
// database, PostgreSQL or a SQLite file, beside a Redis, over a sandbox of the
// upstream service. Processes are killed and stopped, Redis is flushed, the
// database goes away, and upstream answers late, wrongly or not at all. The
// judge is the sandbox: its state, its ledger and its outbox, never an answer
// of the bridge.
//
// The package has no code of its own.
package invariants
