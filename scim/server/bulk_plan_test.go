package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// planned is the order in which the operations count, as numbers from 1.
func planned(t *testing.T, operations ...string) []int {
	t.Helper()
	q, err := readBulk([]byte(bulkBody("", operations...)))
	if err != nil {
		t.Fatal(err)
	}
	s, ok := newRig(t, nil).handler.(*server)
	if !ok {
		t.Fatal("the handler is no server")
	}
	for _, o := range q.operations {
		s.address(o)
	}
	keys, err := q.survey()
	if err != nil {
		t.Fatal(err)
	}
	order := q.plan(keys)
	for i := range order {
		order[i]++
	}
	return order
}

func TestBulkPlan(t *testing.T) {
	user := func(id string) string { return post("/Users", id, userBody(id+"@example.com")) }
	refers := func(id, to string) string { return post("/Users", id, userBody(id, `"title":"bulkId:`+to+`"`)) }
	del := func(id string) string { return on("DELETE", "/Users/"+id, "") }
	for _, tt := range []struct {
		name       string
		operations []string
		want       []int
	}{
		{"as it stands", []string{user("a"), del("x"), user("b"), del("y")}, []int{1, 2, 3, 4}},
		{"backward references", []string{user("a"), refers("b", "a"), refers("c", "b")}, []int{1, 2, 3}},
		{"forward references", []string{refers("a", "b"), refers("b", "c"), user("c"), user("d")}, []int{3, 2, 1, 4}},
		{"only what refers waits", []string{refers("a", "c"), del("x"), user("c"), del("y")}, []int{2, 3, 1, 4}},
		{"a resource is named in data", []string{post("/Groups", "g", groupBody("G", "bulkId:u", "x")), del("x"), user("u")}, []int{3, 1, 2}},
		{"a resource is named in a filter", []string{
			on("PATCH", "/Groups/g", `{"Operations":[{"op":"remove","path":"members[value eq \"x\"]"},{"op":"add","path":"members","value":[{"value":"bulkId:u"}]}]}`), del("x"), user("u"),
		}, []int{3, 1, 2}},
		{"a resource is changed twice", []string{on("PATCH", "/Users/x", `{"manager":"bulkId:u"}`), del("x"), del("y"), user("u")}, []int{3, 4, 1, 2}},
		{"a resource that is created", []string{on("PATCH", "/Users/bulkId:v", `{"manager":"bulkId:u"}`), on("DELETE", "/Users/bulkId:v", ""), user("v"), user("u")}, []int{3, 4, 1, 2}},
		{"one name", []string{refers("a", "u"), post("/Users", "b", userBody("A")), user("u")}, []int{3, 1, 2}},
		{"a reference against a name", []string{refers("a", "u"), post("/Users", "u", userBody("A"))}, []int{2, 1}},
		{"what is refused waits for nothing", []string{refers("a", "nobody"), refers("b", "b"), user("c")}, []int{1, 2, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, planned(t, tt.operations...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
