package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// bulkKind says which operations run beside each other: those of one kind.
type bulkKind int

const (
	bulkAlone    bulkKind = iota // runs beside none
	bulkCreates                  // of users
	bulkProfiles                 // changes of users that mention nothing consequential
)

// atOnce is how many of a kind run at once. Creates share calls upstream that
// take 100 people: while one is under way, the next is filled.
var atOnce = [...]int{bulkAlone: 1, bulkCreates: 200, bulkProfiles: 20}

// bulkRun carries out a bulk request. What comes of it is what would come of
// requests of their own in the order of plan. So an operation waits until all
// before it have ended, except:
//
//   - creates of users run beside each other, unless one refers to the other or
//     both name the same person (userName or an address of emails, folded):
//     nothing else about a new person depends on other new ones;
//   - so do PATCHes of different users that mention nothing consequential.
//
// Where a limit of the tenant lets only some of those pass that run beside each
// other, it is first come, first served among them.
//
// With failOnErrors, nothing is begun out of that order, nor while as many
// errors could come of what runs already.
type bulkRun struct {
	s *server
	*bulkRequest
	order []int

	// What operations take over from the request.
	agent    []string
	entra    bool
	identity Identity
	caller   scim.Caller

	// begin is until when operations may be begun.
	begin   time.Time
	done    chan bulkOutcome
	running int
	beside  bulkKind // the kind of those that run
	busy    []int    // by key: how many of them have it
	errors  int
}

// bulkOutcome is what one operation came to.
type bulkOutcome struct {
	o   *bulkOperation
	x   *exchange
	a   answer
	err error
}

// run returns when every operation is answered that is to be, and none runs.
func (r *bulkRun) run(ctx context.Context) {
	deadline, _ := ctx.Deadline()
	begin, end := r.s.bulkTimes(deadline)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	r.begin = begin
	// Room for all of them: none waits for a reader when a defect ends this.
	r.done = make(chan bulkOutcome, len(r.operations))
	for pending := r.order; ; {
		pending = r.start(ctx, pending)
		if r.running == 0 {
			return
		}
		out := <-r.done
		r.running--
		for _, k := range out.o.keys {
			r.busy[k]--
		}
		r.settle(out)
	}
}

// start begins what may be begun, and returns what is left. When nothing runs
// then, nothing more is to be begun.
func (r *bulkRun) start(ctx context.Context, pending []int) (left []int) {
	late := !time.Now().Before(r.begin)
	waiting := make(map[int]bool) // keys of those that were passed over
	for n, i := range pending {
		o := r.operations[i]
		if r.failOnErrors > 0 && (len(left) > 0 || r.running+r.errors >= r.failOnErrors) {
			return append(left, pending[n:]...)
		}
		switch verdict, err := r.judge(o, late, len(left) > 0, waiting); verdict {
		case bulkRefused:
			r.settle(bulkOutcome{o: o, x: r.exchange(ctx, o), err: err})
		case bulkReady:
			r.launch(ctx, o)
		case bulkBlocked:
			left = append(left, i)
			for _, k := range o.keys {
				waiting[k] = true
			}
		case bulkBarred:
			return append(left, pending[n:]...)
		}
	}
	return left
}

// bulkVerdict says whether an operation may be begun.
type bulkVerdict int

const (
	bulkReady   bulkVerdict = iota
	bulkRefused             // it is answered without being begun
	bulkBlocked             // not yet
	bulkBarred              // not yet, nor what stands behind it
)

// judge looks at the next operation in the order; passed: some before it were
// passed over, with the keys in waiting.
func (r *bulkRun) judge(o *bulkOperation, late, passed bool, waiting map[int]bool) (bulkVerdict, error) {
	if o.refusal != nil {
		return bulkRefused, o.refusal
	}
	if late {
		return bulkRefused, errLate()
	}
	if ahead := r.running > 0 || passed; ahead && (o.beside != r.beside || r.running >= atOnce[r.beside]) {
		return bulkBarred, nil
	}
	for _, i := range o.needs {
		switch need := r.operations[i]; {
		case need.result == nil:
			return bulkBlocked, nil
		case need.result.refusal != nil:
			return bulkRefused, errNeeds(need)
		}
	}
	if slices.ContainsFunc(o.keys, func(k int) bool { return r.busy[k] > 0 || waiting[k] }) {
		return bulkBlocked, nil
	}
	return bulkReady, nil
}

// errNeeds answers an operation that refers to one that failed.
func errNeeds(o *bulkOperation) error {
	return &scim.Error{Status: 409, Detail: fmt.Sprintf("the operation refers to the bulkId %q, and operation %d, which has it, failed with %d: put that right and send both again",
		clip(o.bulkID), o.number, o.result.status)}
}

func (r *bulkRun) launch(ctx context.Context, o *bulkOperation) {
	if o.target != "" {
		o.id = r.created(o.target)
	}
	r.running++
	r.beside = o.beside
	for _, k := range o.keys {
		r.busy[k]++
	}
	x := r.exchange(ctx, o)
	setBody(x.r, o.resolved(r.created))
	go func() {
		a, err := r.s.perform(x)
		r.done <- bulkOutcome{o: o, x: x, a: a, err: err}
	}()
}

// created is the id of the resource that the operation with a bulkId made.
func (r *bulkRun) created(bulkID string) string {
	return r.operations[r.creators[bulkID]].result.created
}

// settle answers an operation.
func (r *bulkRun) settle(out bulkOutcome) {
	o := out.o
	o.result = r.s.conclude(out.x, out.a, out.err)
	if o.result.refusal != nil {
		r.errors++
	}
	if o.method != http.MethodPost {
		o.result.location = r.s.location(o)
	}
}
