package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestBulkIsRequestsInOrder: what comes of a bulk request comes of its operations
// as requests of their own, one after the other, whatever runs beside what.
func TestBulkIsRequestsInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(rt, "failOnErrors")
		kinds := drawOperations(rt)
		bulk, single := newRig(t, nil).with(t, 3), newRig(t, nil).with(t, 3)
		for _, r := range []*rig{bulk, single} {
			want(t, r.do(t, request("POST", "/scim/v2/Groups", groupBody("first", "user-1", "user-2"))), 201, "")
		}
		yields := rapid.SliceOfN(rapid.IntRange(0, 20), 8, 8).Draw(rt, "yields")
		bulk.users.before = func(context.Context, string) error {
			for range yields[bulk.users.callCount()%len(yields)] {
				runtime.Gosched()
			}
			return nil
		}

		var operations []string
		for _, k := range kinds {
			operations = append(operations, k.operation())
		}
		got := bulk.bulk(t, bulkBody(fmt.Sprintf(`"failOnErrors":%d,`, limit), operations...))
		if wanted := single.one(t, limit, kinds); statuses(got) != strings.Join(wanted, " ") {
			rt.Errorf("statuses %s, one by one %s\n%s", statuses(got), strings.Join(wanted, " "), strings.Join(operations, "\n"))
		}
		if diff := cmp.Diff(single.state(), bulk.state()); diff != "" {
			rt.Errorf("state (-one by one +bulk):\n%s\n%s", diff, strings.Join(operations, "\n"))
		}
		if len(bulk.observed) != len(got)+1+1 {
			rt.Errorf("%d observed for %d operations", len(bulk.observed), len(got))
		}
	})
}

// drawn is an operation of the property test. In path and data, "bulkId:x" refers
// to an earlier operation.
type drawn struct{ method, path, bulkID, data string }

func (d drawn) operation() string {
	fields := map[string]any{"method": d.method, "path": d.path}
	if d.bulkID != "" {
		fields["bulkId"] = d.bulkID
	}
	if d.data != "" {
		fields["data"] = json.RawMessage(d.data)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// drawOperations draws operations on few resources of few names, so that they
// meet, with references to earlier ones.
func drawOperations(rt *rapid.T) []drawn {
	var users, groups []string // bulkIds so far
	ref := func(what string, known, literal []string) string {
		all := slices.Clone(literal)
		for _, id := range known {
			all = append(all, "bulkId:"+id)
		}
		return rapid.SampledFrom(all).Draw(rt, what)
	}
	name := func() string {
		return rapid.SampledFrom([]string{"ada@example.com", "user1@example.com", "a@example.com", "A@example.com", "b@example.com", "c@example.com", ""}).Draw(rt, "name")
	}
	user := func() string { return ref("user", users, []string{"user-1", "user-2", "user-3", "nobody"}) }
	var list []drawn
	n := rapid.IntRange(0, 25).Draw(rt, "n")
	for i := range n {
		id := fmt.Sprintf("id%d", i)
		switch rapid.SampledFrom([]string{"create", "create", "create", "profile", "profile", "rename", "replace", "delete", "group", "join", "disband"}).Draw(rt, "kind") {
		case "create":
			body := userBody(name(), fmt.Sprintf(`"title":%q`, id))
			if rapid.Bool().Draw(rt, "managed") {
				body = userBody(name(), fmt.Sprintf(`"nickName":%q`, user()))
			}
			list = append(list, drawn{"POST", "/Users", id, body})
			users = append(users, id)
		case "profile":
			list = append(list, drawn{"PATCH", "/Users/" + user(), "", patchOf("replace", "title", fmt.Sprintf("%q", id))})
		case "rename":
			list = append(list, drawn{"PATCH", "/Users/" + user(), "", patchOf("replace", "userName", fmt.Sprintf("%q", name()))})
		case "replace":
			list = append(list, drawn{"PUT", "/Users/" + user(), "", userBody(name(), fmt.Sprintf(`"title":%q`, id))})
		case "delete":
			list = append(list, drawn{"DELETE", "/Users/" + user(), "", ""})
		case "group":
			list = append(list, drawn{"POST", "/Groups", id, groupBody(rapid.SampledFrom([]string{"g", "G", "h", ""}).Draw(rt, "group"), user())})
			groups = append(groups, id)
		case "join":
			list = append(list, drawn{"PATCH", "/Groups/" + ref("group", groups, []string{"group-1", "nothing"}), "",
				patchOf(rapid.SampledFrom([]string{"add", "remove"}).Draw(rt, "op"), "members", `[{"value":"`+user()+`"}]`)})
		case "disband":
			list = append(list, drawn{"DELETE", "/Groups/" + ref("group", groups, []string{"group-1"}), "", ""})
		}
	}
	return list
}

// one sends the operations one by one, as a client without /Bulk does, and
// returns the statuses.
func (r *rig) one(t *testing.T, limit int, operations []drawn) []string {
	t.Helper()
	var got []string
	errors, ids := 0, map[string]string{}
	for _, d := range operations {
		if limit > 0 && errors == limit {
			break
		}
		failed, pairs := false, []string{}
		for bulkID, id := range ids {
			pairs = append(pairs, "bulkId:"+bulkID+`"`, id+`"`)
			failed = failed || id == "" && strings.Contains(d.path+`"`+d.data, "bulkId:"+bulkID+`"`)
		}
		resolve := strings.NewReplacer(pairs...)
		status := 409
		if !failed {
			rec := r.do(t, request(d.method, "/scim/v2"+strings.TrimSuffix(resolve.Replace(d.path+`"`), `"`), resolve.Replace(d.data)))
			if status = rec.Code; d.bulkID != "" && status == 201 {
				ids[d.bulkID], _ = object(t, rec.Body.Bytes())["id"].(string)
			}
		}
		if status >= 400 {
			errors++
			if d.bulkID != "" {
				ids[d.bulkID] = ""
			}
		}
		got = append(got, fmt.Sprint(status))
	}
	return got
}

// state is what there is, without ids: those of operations that run beside each
// other are given out in any order.
func (r *rig) state() []string {
	names, all := map[string]string{}, []string{}
	for _, u := range r.users.users {
		names[u.ID] = u.UserName
	}
	name := func(id string) string {
		if n, ok := names[id]; ok {
			return n
		}
		return "gone"
	}
	for _, u := range r.users.users {
		nick := u.NickName
		if strings.HasPrefix(nick, "user-") {
			nick = name(nick)
		}
		all = append(all, "user "+u.UserName+": "+u.Title+" of "+nick)
	}
	for _, g := range r.groups.groups {
		members := map[string]bool{}
		for _, m := range g.Members {
			members[name(m.Value)] = true
		}
		all = append(all, "group "+g.DisplayName+": "+strings.Join(slices.Sorted(maps.Keys(members)), " "))
	}
	slices.Sort(all)
	return all
}
