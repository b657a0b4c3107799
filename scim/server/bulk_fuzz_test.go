package server

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzBulkBody: no body makes the server panic or answer 5xx; a refusal changed
// nothing; and of a request that is accepted every operation is answered, in its
// order, unless failOnErrors ended it.
func FuzzBulkBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(t, nil).with(t, 2)
		rec := r.do(t, request("POST", "/scim/v2/Bulk", body))
		if rec.Code != 200 {
			if rec.Code != 400 && rec.Code != 413 || r.users.callCount() > 0 {
				t.Fatalf("%d after %d calls: %s", rec.Code, r.users.callCount(), rec.Body)
			}
			return
		}
		got := checkBulk(t, rec)
		for i, o := range got {
			if o.Status[0] == '5' {
				t.Errorf("operation %d: %s %s", i+1, o.Status, o.Response.Detail)
			}
		}
		var sent map[string]json.RawMessage
		if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "\ufeff")), &sent); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		for name, text := range sent {
			var list []map[string]any
			if strings.ToLower(name) != "operations" || json.Unmarshal(text, &list) != nil {
				continue
			}
			if len(got) > len(list) || len(got) < len(list) && !strings.Contains(strings.ToLower(body), "failonerrors") {
				t.Errorf("%d operations, %d answers", len(list), len(got))
			}
			checkEcho(t, list, got)
		}
	})
}

// checkEcho compares the bulkIds of the answers with those of the operations,
// of which any may be left out.
func checkEcho(t *testing.T, sent []map[string]any, got []bulkOperated) {
	t.Helper()
	var want []string
	for _, o := range sent {
		for name, v := range o {
			if id, ok := v.(string); ok && strings.ToLower(name) == "bulkid" && id != "" {
				want = append(want, id)
			}
		}
	}
	for _, o := range got {
		if o.BulkID == "" {
			continue
		}
		for len(want) > 0 && want[0] != o.BulkID {
			want = want[1:]
		}
		if len(want) == 0 {
			t.Fatalf("bulkId %q is not in the order of the request", o.BulkID)
		}
		want = want[1:]
	}
}
