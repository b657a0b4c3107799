package upstream

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzUpstreamResponse feeds any answer to every reader: none may panic, none may change its input, and what passes has
// what decisions are made from.
func FuzzUpstreamResponse(f *testing.F) {
	for _, s := range []string{
		accountJSON(7, "a@x.test", activeIn113), inviteJSON("inv_1", "a@x.test", "pending", 113, 114), errorJSON("email_taken"),
		`{"Users":[{"Id":1,"Email":"a@x.test","AccountState":"new","Memberships":[]}],"Page":1,"PageSize":1,"Total":1}`,
		`{"Invites":[],"Page":1,"PageSize":1,"Total":0}`, `{"Roles":[{"Id":1,"Name":"Owner","Weight":100}]}`,
		`{"Results":[{"Email":"a@x.test","Status":"rejected","Error":"x"}]}`, `{"access_token":"t","expires_in":1e9}`,
		`{"error":"invalid_client"}`, `null`, `[]`, `{}`, `{"id":`, "\xef\xbb\xbf{}", `{"id":1e400}`, `{"error":{"code":"\u2028"}}`,
		strings.Repeat(`{"a":`, 300),
	} {
		f.Add([]byte(s))
	}
	header := http.Header{"Content-Type": {"application/json"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		if w, err := decoded[snakeAccount](body); err == nil {
			if a, err := w.account(); err == nil {
				checkAccount(t, a)
			}
		}
		if w, err := decoded[pascalAccount](body); err == nil {
			if a, err := w.account(); err == nil {
				checkAccount(t, a)
			}
		}
		if i, err := readInvite(body, "inv_1"); err == nil && (i.ID != "inv_1" || i.Email == "" || i.State == "" || i.OrganizationIDs == nil) {
			t.Errorf("invite %+v passed", i)
		}
		if a, err := readAccepted(body, "inv_1"); err == nil && a.ID <= 0 {
			t.Errorf("account %+v passed", a)
		}
		if w, err := decoded[struct{ Results []pascalResult }](body); err == nil {
			for i := range w.Results {
				if r, err := w.Results[i].result(InviteUser{Email: "a@x.test"}); err == nil && (r.Status == Rejected) != (r.Error != nil) {
					t.Errorf("result %+v passed", r)
				}
			}
		}
		if c, ok := readComplaint(header, body); ok && c.Code == "" {
			t.Error("a complaint without a code passed")
		}
		e := refusal(&route{operation: "get_user"}, 422, header, body, time.Time{})
		if strings.IndexFunc(e.Error(), unicode.IsControl) >= 0 {
			t.Errorf("control character in %q", e.Error())
		}
		_, _ = readGrant(body, time.Time{})
		if !bytes.Equal(before, body) {
			t.Error("the input was changed")
		}
	})
}

func checkAccount(t *testing.T, a *Account) {
	if a.ID <= 0 || a.Email == "" || a.AccountState == "" || a.Memberships == nil {
		t.Errorf("account %+v passed", a)
	}
}
