package upstream

import (
	"context"
	"slices"
	"sync/atomic"
)

type countKey struct{}

// counts are the counters that a context carries, the innermost last.
type counts []*atomic.Int64

// WithCount returns a context that counts the attempts of calls made with it,
// or with contexts derived from it; those under a further WithCount are counted
// there and here. A call that serves several contexts at once, as an invite of
// many people does, counts once for each. A token and a list that are fetched
// for whoever needs them next count for who began to fetch.
func WithCount(ctx context.Context) context.Context {
	return context.WithValue(ctx, countKey{}, append(slices.Clip(countsOf(ctx)), new(atomic.Int64)))
}

// Calls is how many attempts were counted so far by the innermost WithCount
// around ctx; 0 when there is none. It is safe while calls are being made.
func Calls(ctx context.Context) int {
	c := countsOf(ctx)
	if len(c) == 0 {
		return 0
	}
	return int(c[len(c)-1].Load())
}

func countsOf(ctx context.Context) counts {
	c, _ := ctx.Value(countKey{}).(counts)
	return c
}

// withCountsOf returns a context whose calls count for everybody in the batch.
func withCountsOf(ctx context.Context, people []*guest) context.Context {
	var all counts
	for _, g := range people {
		for _, c := range g.counts {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 {
		return ctx
	}
	return context.WithValue(ctx, countKey{}, all)
}

// attempted counts an attempt that is sent now.
func attempted(ctx context.Context) {
	for _, c := range countsOf(ctx) {
		c.Add(1)
	}
}
