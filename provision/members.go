package provision

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/sharearefund/scim-bridge/store"
)

// membersIn reads a group's members a chunk at a time.
func membersIn(ctx context.Context, rd store.Reader, tenant, group string) iter.Seq2[store.Member, error] {
	return func(yield func(store.Member, error) bool) {
		for after := ""; ; {
			rows, err := rd.Members(ctx, tenant, group, after, chunk)
			if err != nil {
				yield(store.Member{}, err)
				return
			}
			for _, m := range rows {
				if !yield(m, nil) {
					return
				}
			}
			if len(rows) < chunk {
				return
			}
			after = rows[len(rows)-1].PersonID
		}
	}
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
