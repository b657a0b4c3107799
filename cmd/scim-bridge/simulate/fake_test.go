package simulate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fake is a small SCIM server that does right by every client, but for its
// faults. It is an http.RoundTripper: no network is used.
type fake struct {
	faults

	mu     sync.Mutex
	users  []*resource
	groups []*resource
	next   int
	lists  int
	// seen are the requests, as "METHOD path".
	seen []string
}

// faults are what is wrong with a fake.
type faults struct {
	ignoreFilter, emptyIs404, numbersAsText, nullResources, noStart bool
	caseSensitive, hideInactive, newIDWhenBack, textIsTrue          bool
	duplicates, returnPassword, numericStatus, plainJSON            bool
	renameWipes, removeWipes, addTwice, dropSome, forgetMembers     bool
	ignoreExcluded, unstable, repeats, shortTotal, managerText      bool
	noLocation, anyToken, noDelete, sameID, otherUser, activeText   bool
	// answer may answer a request by itself: nil goes on.
	answer func(r *http.Request) *http.Response
}

type resource struct {
	id     string
	object map[string]any
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(b)
	}
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	f.mu.Unlock()
	if f.answer != nil {
		if resp := f.answer(r); resp != nil {
			if resp.StatusCode == 0 { // as one that never comes
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			resp.Request = r
			return resp, nil
		}
	}
	w := httptest.NewRecorder()
	f.mu.Lock()
	f.serve(w, r, body)
	f.mu.Unlock()
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// canned is an answer of the given status.
func canned(status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{"Content-Type": {"application/scim+json"}}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func (f *fake) write(w http.ResponseWriter, status int, object any) {
	kind := "application/scim+json"
	if f.plainJSON {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object) // a recorder
}

func (f *fake) refuse(w http.ResponseWriter, status int, scimType, detail string) {
	object := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": strconv.Itoa(status), "detail": detail}
	if f.numericStatus {
		object["status"] = status
	}
	if scimType != "" {
		object["scimType"] = scimType
	}
	f.write(w, status, object)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request, body string) {
	if r.Header.Get("Authorization") != "Bearer "+goodToken && !f.anyToken {
		w.Header().Set("WWW-Authenticate", "Bearer")
		f.refuse(w, 401, "", "the token is not known")
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/scim/v2/"), "/")
	all := map[string]*[]*resource{"Users": &f.users, "Groups": &f.groups}[path[0]]
	if path[0] == "Schemas" {
		f.write(w, 200, map[string]any{
			"schemas": []string{listURN}, "totalResults": 2, "startIndex": 1, "itemsPerPage": 2,
			"Resources": []any{map[string]any{"id": userSchema}, map[string]any{"id": groupSchema}},
		})
		return
	}
	if all == nil {
		f.refuse(w, 404, "", "no such path")
		return
	}
	var in map[string]any
	_ = json.Unmarshal([]byte(body), &in) // none with GET
	if len(path) == 1 {
		if r.Method == http.MethodPost {
			f.create(w, path[0], all, in)
			return
		}
		f.list(w, r.URL.Query(), path[0], *all)
		return
	}
	i := slices.IndexFunc(*all, func(x *resource) bool { return x.id == path[1] })
	if i < 0 || f.hideInactive && (*all)[i].object["active"] == false && r.Method == http.MethodGet {
		f.refuse(w, 404, "", "nobody has this id")
		return
	}
	f.one(w, r, all, i, in)
}

const (
	goodToken   = "simulate-good-token"
	listURN     = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

func (f *fake) create(w http.ResponseWriter, kind string, all *[]*resource, in map[string]any) {
	key := map[string]string{"Users": "userName", "Groups": "displayName"}[kind]
	for _, x := range *all {
		if strings.EqualFold(fmt.Sprint(x.object[key]), fmt.Sprint(in[key])) && !f.duplicates {
			f.refuse(w, 409, "uniqueness", "it is there already")
			return
		}
	}
	f.next++
	x := &resource{id: fmt.Sprintf("%s-%d", strings.ToLower(kind[:1]), f.next), object: in}
	if f.sameID && len(*all) > 0 {
		x.id = (*all)[0].id
	}
	delete(in, "password")
	delete(in, "groups")
	f.normalise(in)
	*all = append(*all, x)
	out := f.shown(x, kind, nil)
	if f.otherUser {
		out["userName"] = "ceo@example.com"
	}
	if f.returnPassword {
		out["password"] = "hunter2"
	}
	if !f.noLocation {
		w.Header().Set("Location", "https://scim.example.com/scim/v2/"+kind+"/"+x.id)
	}
	f.write(w, 201, out)
}

// normalise makes of a user what the server keeps.
func (f *fake) normalise(u map[string]any) {
	if text, ok := u["active"].(string); ok {
		u["active"] = strings.EqualFold(text, "true") || f.textIsTrue
	}
	if e, ok := u[enterpriseURN].(map[string]any); ok {
		if m, ok := e["manager"].(string); ok && !f.managerText {
			e["manager"] = map[string]any{"value": m}
		}
	}
	for name, value := range u {
		if value == nil {
			delete(u, name)
		}
	}
}

// shown is a resource as it is answered.
func (f *fake) shown(x *resource, kind string, q url.Values) map[string]any {
	var out map[string]any
	b, err := json.Marshal(x.object)
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	out["id"], out["meta"] = x.id, map[string]any{"resourceType": strings.TrimSuffix(kind, "s")}
	if q.Get("excludedAttributes") == "members" && !f.ignoreExcluded {
		delete(out, "members")
	}
	if f.activeText && out["active"] != nil {
		out["active"] = fmt.Sprint(out["active"])
	}
	return out
}

var term = regexp.MustCompile(`^(\S+?)(\[type eq "work"\]\.value)? eq "(.*?)"$`)

func (f *fake) matches(x *resource, filter string) bool {
	if f.ignoreFilter || filter == "" {
		return true
	}
	for part := range strings.SplitSeq(filter, " and ") {
		m := term.FindStringSubmatch(part)
		if m == nil {
			return false
		}
		ok := false
		switch m[1] {
		case "id":
			ok = x.id == m[3]
		case "members", "emails":
			all, _ := x.object[m[1]].([]any)
			ok = slices.ContainsFunc(all, func(v any) bool { return part2(v) == m[3] })
		case "externalId":
			ok = x.object[m[1]] == m[3]
		default:
			ok = strings.EqualFold(fmt.Sprint(x.object[m[1]]), m[3]) && (!f.caseSensitive || x.object[m[1]] == m[3])
		}
		if !ok {
			return false
		}
	}
	return true
}

func part2(member any) string {
	m, _ := member.(map[string]any)
	return textOf(m["value"])
}

func (f *fake) list(w http.ResponseWriter, q url.Values, kind string, all []*resource) {
	var found []map[string]any
	for _, x := range all {
		if f.matches(x, q.Get("filter")) && !(f.hideInactive && x.object["active"] == false) {
			found = append(found, f.shown(x, kind, q))
		}
	}
	total := len(found)
	if total == 0 && f.emptyIs404 {
		f.refuse(w, 404, "", "nothing found")
		return
	}
	if f.lists++; f.unstable && f.lists%2 == 0 {
		slices.Reverse(found)
	}
	start, count := 1, total
	if n, err := strconv.Atoi(q.Get("startIndex")); err == nil {
		start = n
	}
	if n, err := strconv.Atoi(q.Get("count")); err == nil {
		count = n
	}
	from := min(max(0, start-1), total)
	if f.repeats && from > 0 {
		from--
	}
	page := found[from:min(from+count, total)]
	if f.shortTotal {
		total = len(page)
	}
	out := map[string]any{"schemas": []string{listURN}, "totalResults": total, "startIndex": start, "itemsPerPage": len(page), "Resources": page}
	if len(page) == 0 && !f.nullResources {
		out["Resources"] = []any{}
	}
	if f.numbersAsText {
		out["totalResults"] = strconv.Itoa(total)
	}
	if f.noStart {
		delete(out, "startIndex")
		delete(out, "itemsPerPage")
	}
	f.write(w, 200, out)
}

func (f *fake) one(w http.ResponseWriter, r *http.Request, all *[]*resource, i int, in map[string]any) {
	x, kind := (*all)[i], "Users"
	if all == &f.groups {
		kind = "Groups"
	}
	wasActive := x.object["active"]
	switch r.Method {
	case http.MethodDelete:
		if f.noDelete {
			f.refuse(w, 405, "", "nothing is deleted here")
			return
		}
		*all = slices.Delete(*all, i, i+1)
		w.WriteHeader(204)
		return
	case http.MethodPut:
		for _, name := range []string{"id", "meta", "groups", "password"} {
			delete(in, name)
		}
		f.normalise(in)
		x.object = in
	case http.MethodPatch:
		ops, _ := in["Operations"].([]any)
		for _, op := range ops {
			if !f.patch(x, op.(map[string]any)) {
				f.refuse(w, 409, "", "no")
				return
			}
		}
		f.normalise(x.object)
	}
	if f.newIDWhenBack && wasActive == false && x.object["active"] == true {
		f.next++
		x.id = fmt.Sprintf("u-%d", f.next)
	}
	if f.forgetMembers && wasActive == true && x.object["active"] == false {
		for _, g := range f.groups {
			members, _ := g.object["members"].([]any)
			g.object["members"] = slices.DeleteFunc(members, func(m any) bool { return part2(m) == x.id })
		}
	}
	f.write(w, 200, f.shown(x, kind, r.URL.Query()))
}

var valuePath = regexp.MustCompile(`^(\w+)\[(\w+) eq "(.*)"\](?:\.value)?$`)

// patch applies an operation. false: it is refused.
func (f *fake) patch(x *resource, op map[string]any) bool {
	name, path := strings.ToLower(textOf(op["op"])), textOf(op["path"])
	if path == "" {
		for key, value := range op["value"].(map[string]any) {
			if key != "id" {
				f.set(x, key, value)
			}
		}
		if op["value"].(map[string]any)["displayName"] != nil && f.renameWipes {
			delete(x.object, "members")
		}
		return true
	}
	if path == "displayName" && f.renameWipes {
		delete(x.object, "members")
	}
	m := valuePath.FindStringSubmatch(path)
	switch {
	case path == "members" || m != nil && m[1] == "members":
		return f.regroup(x, name, m, op["value"])
	case m != nil:
		entries, _ := x.object[m[1]].([]any)
		for _, e := range entries {
			if e := e.(map[string]any); e["type"] == m[3] {
				e["value"] = op["value"]
				return true
			}
		}
		x.object[m[1]] = append(entries, map[string]any{"type": m[3], "value": op["value"]})
		return true
	}
	f.set(x, path, op["value"])
	return true
}

func (f *fake) set(x *resource, path string, value any) {
	object := x.object
	if rest, ok := strings.CutPrefix(path, enterpriseURN+":"); ok {
		e, _ := object[enterpriseURN].(map[string]any)
		if e == nil {
			e = map[string]any{}
			object[enterpriseURN] = e
		}
		object, path = e, rest
	}
	if first, rest, ok := strings.Cut(path, "."); ok {
		inner, _ := object[first].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			object[first] = inner
		}
		object, path = inner, rest
	}
	object[path] = value
}

func (f *fake) regroup(x *resource, name string, m []string, value any) bool {
	members, _ := x.object["members"].([]any)
	has := func(id string) bool { return slices.ContainsFunc(members, func(v any) bool { return part2(v) == id }) }
	values, _ := value.([]any)
	if name == "add" {
		for _, v := range values {
			if f.dropSome && len(values) == 1 && part2(v) == "u-3" {
				continue // as if another request had written the list meanwhile
			}
			if !has(part2(v)) || f.addTwice {
				members = append(members, v)
			}
		}
		x.object["members"] = members
		return true
	}
	gone := map[string]bool{}
	if m != nil {
		gone[m[3]] = true
	}
	for _, v := range values {
		gone[part2(v)] = true
	}
	if f.removeWipes && m == nil {
		members = nil
	}
	x.object["members"] = slices.DeleteFunc(members, func(v any) bool { return gone[part2(v)] })
	return true
}

// names are the userNames and displayNames that are there, in order.
func (f *fake) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, x := range slices.Concat(f.users, f.groups) {
		out = append(out, cmp.Or(textOf(x.object["userName"]), textOf(x.object["displayName"])))
	}
	return out
}
