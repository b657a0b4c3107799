package simulate

import "time"

// Verdict is what came of a step or an expectation.
type Verdict string

// The verdicts. A step is failed when one of its expectations is, and
// interrupted when it was begun and not played to its end; a run is failed or
// interrupted when one of its steps is.
const (
	OK          Verdict = "ok"
	Failed      Verdict = "failed"
	Skipped     Verdict = "skipped"
	Interrupted Verdict = "interrupted"
)

// Report is what a run found. It holds nothing of people whom the run did not
// create, and no token.
type Report struct {
	// Format is the version of this shape: 1.
	Format int `json:"format"`
	// Version is that of the program, "" where Options has none.
	Version string `json:"version,omitempty"`
	Client  string `json:"client"`
	Mode    string `json:"mode,omitempty"`
	BaseURL string `json:"base_url"`
	// Name is in the names of all that the run created.
	Name     string    `json:"name"`
	Users    int       `json:"users"`
	Groups   int       `json:"groups"`
	Started  time.Time `json:"started"`
	Millis   int64     `json:"duration_ms"`
	Verdict  Verdict   `json:"verdict"`
	Requests int       `json:"requests"`
	// Statuses counts answers by status; "none" is no answer.
	Statuses map[string]int `json:"statuses"`
	// Slowest is the longest time that an answer took.
	Slowest int64 `json:"slowest_ms"`
	// Interrupted is true when the run was stopped before its end.
	Interrupted bool   `json:"interrupted,omitempty"`
	Waits       *Waits `json:"waits,omitempty"`
	Steps       []Step `json:"steps"`
	// Left are the users and groups of the run that are still at the server.
	Left []Left `json:"left,omitempty"`
}

// Waits sums up the answers that asked the client to come later.
type Waits struct {
	Times int `json:"times"`
	// Real is how long the client would have waited in all, Played how long
	// the simulation did.
	Real   int64 `json:"real_ms"`
	Played int64 `json:"played_ms"`
	// Source is where the client's way of waiting is described.
	Source string `json:"source"`
}

// Step is a part of the run.
type Step struct {
	// Name is the same in every version, Title is for people.
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Verdict Verdict `json:"verdict"`
	// Reason says why a step was skipped, or what is to be known besides.
	Reason string `json:"reason,omitempty"`
	Millis int64  `json:"duration_ms"`
	// Requests are the first ones that were made, Count is how many there were.
	Requests []Exchange `json:"requests,omitempty"`
	Count    int        `json:"count"`
	Checks   []Check    `json:"checks,omitempty"`
}

// Exchange is a request with the status of its answer; 0 is no answer.
type Exchange struct {
	Request string `json:"request"`
	Status  int    `json:"status"`
	Millis  int64  `json:"duration_ms"`
}

// Check is an expectation and what came of it in a step.
type Check struct {
	// Name is the same in every version; What says what is expected.
	Name    string  `json:"name"`
	What    string  `json:"what"`
	Verdict Verdict `json:"verdict"`
	// Times is how often it was looked at, Failures how often it was not met.
	Times    int `json:"times"`
	Failures int `json:"failures,omitempty"`
	// Request, Sent and Got are those of the first failure: the request, its
	// body, and what came instead of what was expected.
	Request string `json:"request,omitempty"`
	Sent    string `json:"sent,omitempty"`
	Got     string `json:"got,omitempty"`
	// Why says what the client does when it is not met.
	Why    string `json:"why"`
	Source string `json:"source"`
}

// Left is a user or group that is still at the server.
type Left struct {
	Type string `json:"type"`
	Name string `json:"name"`
	// ID is "" where the server's answer to the create had none.
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}
