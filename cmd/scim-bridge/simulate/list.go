package simulate

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// list is a list answer.
type list struct {
	answer *answer
	total  int
	// start is startIndex, -1 where there is none.
	start     int
	resources []map[string]any
}

// list reads a list answer and records what is expected of one. nil: it cannot
// be gone on with.
func (s *simulation) list(a *answer) *list {
	if a.problem != "" || a.later {
		return nil
	}
	if !s.expect(isListed, a.status == http.StatusOK, a, "%s", a.says()) {
		return nil
	}
	l := &list{answer: a, start: -1}
	elements, isArray := a.object["Resources"].([]any)
	shaped := hasText(a.object["schemas"], "urn:ietf:params:scim:api:messages:2.0:ListResponse") && a.object["totalResults"] != nil && isArray
	for _, e := range elements {
		resource, isObject := e.(map[string]any)
		shaped = shaped && isObject && textOf(resource["id"]) != ""
		l.resources = append(l.resources, resource)
	}
	s.expect(isListShape, shaped, a, "schemas %s, totalResults %s, Resources %s, or one of these without an id",
		shape(a.object["schemas"]), shape(a.object["totalResults"]), kind(a.object["Resources"]))
	numbers := true
	for name, to := range map[string]*int{"totalResults": &l.total, "startIndex": &l.start, "itemsPerPage": new(int)} {
		n, isNumber := a.object[name].(float64)
		switch whole := isNumber && n >= 0 && n <= math.MaxInt32 && n == math.Trunc(n); {
		case whole:
			*to = int(n)
		case a.object[name] != nil || s.Client == idp.Okta:
			numbers = false
		}
	}
	s.expect(isNumbers, numbers, a, "totalResults %s, startIndex %s, itemsPerPage %s",
		shape(a.object["totalResults"]), shape(a.object["startIndex"]), shape(a.object["itemsPerPage"]))
	if !isArray && a.object["Resources"] != nil || a.object == nil {
		return nil
	}
	return l
}

// size is what a list claims and has, in words.
func (l *list) size() string {
	return fmt.Sprintf("totalResults %s and %s", shape(l.answer.object["totalResults"]), plural(len(l.resources), "resource", "resources"))
}

// nobody records that a look-up found nobody.
func (s *simulation) nobody(l *list) bool {
	return s.expect(isNobody, l.total == 0 && len(l.resources) == 0, l.answer, "%s", l.size())
}

// only reports whether the list has the resource with the id and nothing else.
func (l *list) only(id string) bool {
	return len(l.resources) == 1 && textOf(l.resources[0]["id"]) == id && l.total == 1
}

// named is the id of the one resource whose attribute has the value, in any
// case; "" where none or several have it.
func (l *list) named(attribute, value string) string {
	id, n := "", 0
	for _, r := range l.resources {
		if strings.EqualFold(textOf(r[attribute]), value) {
			id, n = textOf(r["id"]), n+1
		}
	}
	if n != 1 {
		return ""
	}
	return id
}

const (
	// maxPages bounds how much of a directory is read.
	maxPages = 1000
	// pagesAgain is how many pages are read a second time.
	pagesAgain = 20
)

// walk is what reading page by page gave.
type walk struct {
	ids   []string
	total int
	// whole: it was read to its end.
	whole bool
}

// pages reads a type of resource page by page, at most so many pages. nil: a
// page could not be read.
func (s *simulation) pages(ctx context.Context, path string, size, most int) *walk {
	w := &walk{}
	seen := map[string]bool{}
	start := 1
	for n := range most {
		l := s.list(s.send(ctx, idp.Request{
			Method: http.MethodGet, Path: s.client.At(path, fmt.Sprintf("startIndex=%d", start), fmt.Sprintf("count=%d", size)),
		}))
		if l == nil {
			return nil
		}
		if n == 0 {
			w.total = l.total
		}
		s.expect(isTotal, l.total == w.total, l.answer, "totalResults is %d here and was %d on the first page", l.total, w.total)
		sane := s.expect(isStart, (l.start == start || l.start < 0) && len(l.resources) <= size, l.answer,
			"startIndex %s and %s where startIndex %d and count %d were asked for", shape(l.answer.object["startIndex"]), plural(len(l.resources), "resource", "resources"), start, size)
		for _, r := range l.resources {
			id := clip(textOf(r["id"]), maxID)
			sane = s.expect(isOnce, id != "" && !seen[id], l.answer, "the page with startIndex %d has an id again that was on this or an earlier page", start) && sane
			seen[id] = true
			w.ids = append(w.ids, id)
		}
		if !sane {
			return w // it may never end
		}
		if start += len(l.resources); start > w.total || len(l.resources) == 0 {
			w.whole = true
			s.expect(isTotal, len(w.ids) == w.total, l.answer, "totalResults is %d, and the pages have %s", w.total, plural(len(w.ids), "resource", "resources"))
			return w
		}
	}
	return w
}

// paging reads all of a type as the client does, and again, and looks for
// whom the run created.
func (s *simulation) paging(ctx context.Context, path string, ours []string) error {
	size, most := s.traits.PageSize, maxPages
	if s.Client == idp.Entra {
		size, most = 5, pagesAgain // as Microsoft's tests of the gallery, User_Pagination
	}
	if size == 0 {
		return skipf("%s does not read all resources", s.client.Name())
	}
	first := s.pages(ctx, path, size, most)
	if first == nil {
		return nil
	}
	if first.whole {
		there := map[string]bool{}
		for _, id := range first.ids {
			there[id] = true
		}
		missing := 0
		for _, id := range ours {
			if !there[id] {
				missing++
			}
		}
		s.expect(isAllThere, missing == 0, nil, "%d of %d are on no page", missing, len(ours))
	}
	read, again := size, []int{size}
	if first.whole && len(first.ids) > 2 && len(first.ids) <= size {
		again = append(again, (len(first.ids)+2)/3) // all fits one page: smaller ones, to see several
	}
	for _, size := range again {
		second := s.pages(ctx, path, size, min(most, pagesAgain))
		if second == nil {
			return nil
		}
		if first.whole && second.whole {
			s.expect(isTotal, len(second.ids) == len(first.ids), nil, "read by %d there are %s, read by %d %d", read, plural(len(first.ids), "resource", "resources"), size, len(second.ids))
		}
		s.expect(isStable, samePrefix(first.ids, second.ids), nil, "read again by %d, the resources came in another order or were others", size)
	}
	if !first.whole {
		return skipf("only the first %d pages were read", most)
	}
	return nil
}

// samePrefix reports whether the shorter of two lists begins the longer.
func samePrefix(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
