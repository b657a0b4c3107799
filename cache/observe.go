package cache

import "time"

// Op names what was asked of a cache.
type Op string

// Operations. OpRepair is the deletion of an entry that did not verify, OpProbe
// the write by which a bypassed Redis is tried again and Ping is answered.
const (
	OpGet    Op = "get"
	OpSet    Op = "set"
	OpDelete Op = "delete"
	OpRepair Op = "repair"
	OpProbe  Op = "probe"
)

// Outcome says how an operation ended.
type Outcome string

// Outcomes.
const (
	// OutcomeHit and OutcomeMiss end a Get.
	OutcomeHit  Outcome = "hit"
	OutcomeMiss Outcome = "miss"
	// OutcomeOK ends every other operation that succeeded.
	OutcomeOK Outcome = "ok"
	// OutcomeCorrupt is a Get whose entry is garbage, truncated, forged, of
	// another schema or of another Redis type; OutcomeForeign one whose entry
	// is sound but was stored under another key. Both are answered as misses.
	OutcomeCorrupt Outcome = "corrupt"
	OutcomeForeign Outcome = "foreign"
	// OutcomeTimeout and OutcomeError are failures of Redis.
	OutcomeTimeout Outcome = "timeout"
	OutcomeError   Outcome = "error"
	// OutcomeCancelled is an operation whose caller left first.
	OutcomeCancelled Outcome = "cancelled"
	// OutcomeBypassed is an operation that was not tried, because Redis does
	// not work at the moment or the cache is closed.
	OutcomeBypassed Outcome = "bypassed"
)

// Observer is told of every finished operation and how long it took. It is
// called by the goroutine that asked and must return at once. It may be called
// concurrently.
type Observer func(op Op, outcome Outcome, took time.Duration)
