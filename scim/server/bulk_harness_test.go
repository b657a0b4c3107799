package server

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// bulkResponse is the answer to a bulk request.
type bulkResponse struct {
	Schemas    []string       `json:"schemas"`
	Operations []bulkOperated `json:"Operations"`
}

type bulkOperated struct {
	Method   string     `json:"method"`
	BulkID   string     `json:"bulkId"`
	Version  string     `json:"version"`
	Location string     `json:"location"`
	Status   string     `json:"status"`
	Response *errorBody `json:"response"`
}

// id is the last segment of the location.
func (o bulkOperated) id() string { return o.Location[strings.LastIndexByte(o.Location, '/')+1:] }

// bulkBody is a BulkRequest; head is put before Operations.
func bulkBody(head string, operations ...string) string {
	return `{"schemas":["` + bulkRequestSchema + `"],` + head + `"Operations":[` + strings.Join(operations, ",") + `]}`
}

// post is a create with a bulkId.
func post(collection, bulkID, data string) string {
	return fmt.Sprintf(`{"method":"POST","path":%q,"bulkId":%q,"data":%s}`, collection, bulkID, data)
}

// on is an operation on a resource.
func on(method, path, data string) string {
	if data != "" {
		data = `,"data":` + data
	}
	return fmt.Sprintf(`{"method":%q,"path":%q%s}`, method, path, data)
}

// userBody is a User of that name, with an address when the name is one, and
// more members.
func userBody(name string, more ...string) string {
	members := append([]string{fmt.Sprintf(`"userName":%q`, name)}, more...)
	if strings.Contains(name, "@") {
		members = append(members, fmt.Sprintf(`"emails":[{"value":%q,"type":"work","primary":true}]`, name))
	}
	return `{` + strings.Join(members, ",") + `}`
}

// groupBody is a Group with members.
func groupBody(name string, members ...string) string {
	return fmt.Sprintf(`{"displayName":%q,"members":[%s]}`, name, memberList(members))
}

func memberList(ids []string) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf(`{"value":%q}`, id)
	}
	return strings.Join(list, ",")
}

// patchOf is a PATCH body with one operation.
func patchOf(op, path, value string) string {
	return fmt.Sprintf(`{"Operations":[{"op":%q,"path":%q,"value":%s}]}`, op, path, value)
}

// bulk sends a bulk request, which must be answered 200, and checks what holds
// for every answer.
func (r *rig) bulk(tb testing.TB, body string, headers ...string) []bulkOperated {
	tb.Helper()
	rec := r.do(tb, request("POST", "/scim/v2/Bulk", body, headers...))
	want(tb, rec, 200, "")
	return checkBulk(tb, rec)
}

func checkBulk(tb testing.TB, rec *httptest.ResponseRecorder) []bulkOperated {
	tb.Helper()
	d := json.NewDecoder(rec.Body)
	d.DisallowUnknownFields()
	var out bulkResponse
	if err := d.Decode(&out); err != nil {
		tb.Fatal(err)
	}
	if len(out.Schemas) != 1 || out.Schemas[0] != bulkResponseSchema || out.Operations == nil {
		tb.Errorf("no BulkResponse: %+v", out)
	}
	for i, o := range out.Operations {
		status, err := strconv.Atoi(o.Status)
		failed := status >= 400
		switch {
		case err != nil || status < 200:
			tb.Errorf("Operations[%d]: status %q", i, o.Status)
		case failed != (o.Response != nil):
			tb.Errorf("Operations[%d]: status %s, response %+v", i, o.Status, o.Response)
		case failed && (o.Response.Status != o.Status || o.Response.Detail == "" || len(o.Response.Schemas) != 1 || o.Response.Schemas[0] != errorSchema):
			tb.Errorf("Operations[%d]: no SCIM error: %+v", i, *o.Response)
		case failed && o.Method == "POST" && o.Location != "":
			tb.Errorf("Operations[%d]: a create that failed has the location %s", i, o.Location)
		case !failed && (!strings.HasPrefix(o.Location, publicAddress+"/scim/v2/") || !validID(o.id())):
			tb.Errorf("Operations[%d]: location %q", i, o.Location)
		}
	}
	return out.Operations
}

// statuses are those of the operations, in one line.
func statuses(operations []bulkOperated) string {
	var list []string
	for _, o := range operations {
		list = append(list, o.Status)
	}
	return strings.Join(list, " ")
}
