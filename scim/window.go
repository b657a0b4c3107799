package scim

import (
	"cmp"
	"slices"
)

// Position is a place in an ordered list: behind the resource that it
// describes, wherever that would stand now. The zero Position is the beginning.
type Position struct {
	// Seq is the resource's place in its handler's own order; those begin at 1.
	Seq int64 `json:"q"`
	// Value is what the list is sorted by; the zero value in the handler's own
	// order.
	Value SortValue `json:"v,omitzero"`
}

// SortValue is the value of a resource that a SortKey compares. The zero value
// says that the resource has none.
type SortValue struct {
	Set    bool    `json:"s,omitempty"`
	Text   string  `json:"t,omitempty"` // its beginning; folded, unless the attribute is caseExact
	Int    int64   `json:"i,omitempty"` // false is 0, true is 1; times are in nanoseconds since 1970
	Number float64 `json:"n,omitempty"`
}

// CompareSortValues orders the values of one SortKey ascending, those that are
// not set last (RFC 7644 §3.4.2.3).
func CompareSortValues(a, b SortValue) int {
	if !a.Set || !b.Set {
		return cmp.Compare(present(b.Set), present(a.Set))
	}
	return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Int, b.Int), cmp.Compare(a.Number, b.Number))
}

// Entry is a resource with its place in its handler's own order, above 0.
type Entry[T any] struct {
	Seq      int64
	Resource T
}

// Window orders entries, which are all that satisfy q and come by Seq, as q asks
// for, and cuts its page out of them. value is the value of a resource that
// q.SortBy compares; it is not called when SortBy is nil. next is the place where
// the following page begins, nil when there is none or q does not ask for a
// cursor. entries is reordered; the page is a part of it.
func Window[T any](entries []Entry[T], q Query, value func(T) SortValue) (page []Entry[T], next *Position) {
	var values map[int64]SortValue
	if q.SortBy != nil {
		values = make(map[int64]SortValue, len(entries))
		for _, e := range entries {
			values[e.Seq] = value(e.Resource)
		}
		slices.SortStableFunc(entries, func(a, b Entry[T]) int {
			c := CompareSortValues(values[a.Seq], values[b.Seq])
			if q.Descending {
				c = -c
			}
			return c
		})
	}
	from := min(q.StartIndex-1, len(entries))
	if q.Cursor {
		from = slices.IndexFunc(entries, func(e Entry[T]) bool { return q.Follows(e.Seq, values[e.Seq]) })
		if from < 0 {
			from = len(entries)
		}
	}
	to := min(from+q.Count, len(entries))
	if page = entries[from:to]; q.Cursor && to < len(entries) && len(page) > 0 {
		last := page[len(page)-1]
		next = &Position{Seq: last.Seq, Value: values[last.Seq]}
	}
	return page, next
}

// Follows reports whether a resource stands behind q.After in the order that q
// asks for.
func (q *Query) Follows(seq int64, value SortValue) bool {
	if q.After == (Position{}) {
		return true
	}
	c := CompareSortValues(value, q.After.Value)
	if q.Descending {
		c = -c
	}
	return c > 0 || c == 0 && seq > q.After.Seq
}
