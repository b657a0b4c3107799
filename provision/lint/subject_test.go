package lint

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
)

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func TestShownName(t *testing.T) {
	for in, want := range map[string]string{
		"USERNAME": "userName", "name.givenname": "name.givenName", "Operations[0].path: name.nick": "name.…", "Operations[0].value: title": "title",
		`emails[type eq "work"].since`: "emails.…", `emails[a eq "]"].value`: "emails.value", `emails[b`: "emails", "name.x.familyName": "name.…",
		enterprise + ":costCenter": enterprise + ":costCenter", enterprise + ":floor": enterprise + ":…", strings.ToLower(enterprise): enterprise,
		enterprise + ":manager.x": enterprise + ":manager.…", "urn:x:userName": "", "urn:ada:lovelace": "",
		"ada": "", "ada.userName": "", "Lovelace.1815-12-10": "", "jamie@example.com": "", "Jamie Jackson": "", "sarb_0123456789": "", "": "", ".": "", ":": "", "é": "",
	} {
		if got := shownName(in); got != want {
			t.Errorf("shownName(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever a client sends where names of attributes, ids and names of people
// are expected: neither a row nor a report has it.
func TestNothingOfAClientIsKept(t *testing.T) {
	for _, value := range []string{"lovelace", "ada.lovelace", "Lovelace.1815-12-10", "ada@lovelace.example", "sarb_lovelace0123456789", "p-lovelace", "lovelace eq 5", `name[lovelace eq "x"].lovelace`} {
		r := newRig(t)
		invalid := Request{Method: "GET", Route: usersRoute, Status: 400, Type: scim.TypeInvalidFilter}
		for _, filter := range []string{value, value + ` eq "x"`, "userName eq " + value, "userName." + value + " pr", enterprise + ":" + value + " pr"} {
			invalid.Filter = filter
			r.request("rfc", invalid)
		}
		for range 3 {
			for _, status := range []int{400, 403, 404} {
				r.request("okta", Request{Method: "PATCH", Route: userRoute, ID: value, Status: status})
				r.request("okta", Request{Method: "PUT", Route: groupRoute, ID: value, Status: status, Detail: onlyUsers})
				r.request("okta", Request{Method: "POST", Route: usersRoute, Name: value, Status: status})
			}
		}
		r.request("okta", Request{Method: "PUT", Route: userRoute, ID: idA, Status: 200, Notes: []scim.Note{
			{Path: value, Tolerance: scim.UnknownAttributeDropped}, {Path: "Operations[0].path: " + value, Tolerance: scim.UnknownAttributeSkipped},
		}})
		r.err = badMember
		r.patchGroup("okta", value, addsMember)
		r.err = noAddress
		r.put("okta", value, user("userName", `"x"`, "emails", ""))
		r.post("okta", "", user("userName", fmt.Sprintf("%q", value+"x"), "emails", ""))
		found := r.found()
		var codes []string
		for _, f := range found {
			codes = append(codes, f.Code)
			if text := fmt.Sprintf("%+v %s", f, f.About()); strings.Contains(strings.ToLower(text), "lovelace") {
				t.Errorf("%q: shown: %s", value, text)
			}
		}
		for _, want := range []string{"filter-refused", "attribute-unknown", "id-unknown", "group-before-members"} {
			if !strings.Contains(strings.Join(codes, " "), want) {
				t.Errorf("%q: no %s among %v", value, want, codes)
			}
		}
		kept, err := r.st.Findings(t.Context(), "acme")
		must(t, err)
		for _, f := range kept {
			if strings.Contains(strings.ToLower(f.Subject), "lovelace") {
				t.Errorf("%q: kept: %+v", value, f)
			}
		}
	}
}

// What stands for a name is the same for all who have the operator's key, and
// cannot be guessed by whoever has not.
func TestPseudonymsNeedTheKey(t *testing.T) {
	subjects := func(keys ...byte) (all []string) {
		r := newRig(t)
		for _, key := range keys {
			names, err := requestlog.NewPseudonyms(bytes.Repeat([]byte{key}, 32))
			must(t, err)
			l, err := New(Options{Store: r.st, Guards: r, UserCodec: r.codec, Pseudonyms: names})
			must(t, err)
			l.Request(&Request{Tenant: "acme", Credential: "okta", Dialect: scim.DialectOkta, Method: "POST", Route: usersRoute, Name: "Ada@example.com", Status: 400})
			must(t, l.Flush(t.Context()))
		}
		kept, err := r.st.Findings(t.Context(), "acme")
		must(t, err)
		for _, f := range kept {
			all = append(all, f.Subject)
		}
		return all
	}
	if diff := cmp.Diff(subjects(1), subjects(1, 1)); diff != "" {
		t.Error(diff)
	}
	if got := subjects(1, 2); len(got) != 2 {
		t.Errorf("two keys give %q", got)
	}
	own := newRig(t)
	if a, b := own.unnamed("acme", "User", "ada"), own.linter().unnamed("acme", "User", "ada"); a == b || a == own.unnamed("acme", "Group", "ada") {
		t.Errorf("without a key: %q, %q", a, b)
	}
}
