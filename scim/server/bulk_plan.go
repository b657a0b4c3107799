package server

import (
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// plan returns the indexes of the operations in the order in which they count,
// which decides what the request comes to; run follows it. keys is the number of
// keys.
//
// It is the order of the request, but that an operation stands behind those that
// it refers to, and behind it stay those that have a key in common with it: the
// resource that one is on and the other is on or names, or the name of what both
// create. Operations that refer to each other in a circle are refused.
func (q *bulkRequest) plan(keys int) []int {
	q.refuseCircles()
	var order []int
	placed := make([]bool, len(q.operations))
	ready := func(o *bulkOperation) bool {
		if o.refusal != nil {
			return true
		}
		for _, i := range o.needs {
			if !placed[i] {
				return false
			}
		}
		return true
	}
	// held says in which round a key was last seen on an operation that waits.
	held := make([]int, keys)
	for round := 1; len(order) < len(placed); round++ {
		next := -1
		for i, o := range q.operations {
			if placed[i] {
				continue
			}
			free := true
			for _, k := range o.keys {
				free = free && held[k] != round
				held[k] = round
			}
			// A reference counts for more than a key: when keys hold up
			// everything, the first that is ready is next.
			if ready(o) && (free || next < 0) {
				if next = i; free {
					break
				}
			}
		}
		order, placed[next] = append(order, next), true
	}
	return order
}

// refuseCircles refuses the operations that refer to themselves, through others
// or not (RFC 7644 §3.7.1 leaves it to the server to give up).
func (q *bulkRequest) refuseCircles() {
	// Tarjan's strongly connected components.
	var (
		visit func(i int)
		stack []int
		count int
		found = make([]int, len(q.operations)) // when an operation was found, from 1
		low   = make([]int, len(q.operations)) // the earliest that it leads back to
		open  = make([]bool, len(q.operations))
	)
	visit = func(i int) {
		count++
		found[i], low[i], open[i] = count, count, true
		stack = append(stack, i)
		itself := false
		for _, n := range q.operations[i].needs {
			itself = itself || n == i
			if found[n] == 0 {
				visit(n)
				low[i] = min(low[i], low[n])
			} else if open[n] {
				low[i] = min(low[i], found[n])
			}
		}
		if low[i] != found[i] {
			return
		}
		from := len(stack) - 1
		for stack[from] != i {
			from--
		}
		circle := stack[from:]
		stack = stack[:from]
		for _, n := range circle {
			open[n] = false
		}
		if len(circle) > 1 || itself {
			q.refuseCircle(circle)
		}
	}
	for i := range q.operations {
		if found[i] == 0 {
			visit(i)
		}
	}
}

func (q *bulkRequest) refuseCircle(circle []int) {
	const most = 5
	var names []string
	for _, i := range circle[:min(len(circle), most)] {
		names = append(names, fmt.Sprintf("%q", clip(q.operations[i].bulkID)))
	}
	if len(circle) > most {
		names = append(names, "…")
	}
	for _, i := range circle {
		q.operations[i].refuse(&scim.Error{Status: 409, Detail: "the operations with the bulkIds " + strings.Join(names, ", ") +
			" refer to each other, or one to itself: leave one of the references out, and send it in a PATCH when the resources exist"})
	}
}
