package upstream

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/go-json-experiment/json"
)

func TestSecretShowsNothing(t *testing.T) {
	const canary = "canary"
	s := Secret(canary)
	var logs bytes.Buffer
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("x", "s", s, "o", Options{ClientSecret: s})
	slog.New(slog.NewTextHandler(&logs, nil)).Info("x", "s", s)
	out := []string{logs.String(), fmt.Sprint(errors.New(s.String()))}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d", "%T %[1]s"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, Options{ClientSecret: s}), fmt.Sprintf(verb, []Secret{s}))
	}
	for _, marshal := range []func(any) ([]byte, error){
		stdjson.Marshal,
		func(v any) ([]byte, error) { return json.Marshal(v) },
	} {
		b, err := marshal(map[string]any{"s": s, "list": []Secret{s}})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	for _, text := range out {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("shows the secret: %s", text)
		}
	}
	if got := s.String(); got != "[redacted]" {
		t.Errorf("String() = %q", got)
	}
}

func TestErrorTextIsFitForALog(t *testing.T) {
	message := "taken by jamie@example.com\n{\"level\":\"admin\"}\x1b[31m\u2028\u202e" + strings.Repeat("x", 1000)
	body, err := json.Marshal(map[string]any{"error": map[string]string{"code": "email_taken", "message": message, "field": "email"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{replies: []reply{{status: 409, body: string(body)}}}
	callErr := byEffect["update_user"](t.Context(), newTestClient(t, s, nil))
	if !IsConflict(callErr, CodeEmailTaken) || !IsConflict(callErr, "") || IsConflict(callErr, CodeLastOwner) {
		t.Errorf("error %v is not email_taken alone", callErr)
	}
	e, _ := errors.AsType[*Error](callErr)
	if n := len([]rune(e.Message)); n > maxMessage+1 {
		t.Errorf("the message has %d runes", n)
	}
	for _, text := range []string{e.Message, e.Error()} {
		if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("not printable: %q", text)
		}
	}
	if strings.Contains(e.Error(), "jamie@") || !strings.HasPrefix(e.Error(), `upstream update_user: conflict, status 409, code "email_taken", field "email": "taken by [address] `) {
		t.Errorf("text = %s", e.Error())
	}
}

func TestEchoedSecretsAreRemoved(t *testing.T) {
	s := &script{replies: []reply{{status: 422, body: `{"error":{"code":"invalid_field","message":"key-canary and pw-canary are bad","field":"pw-canary"}}`}}}
	err := newTestClient(t, s, nil).ResetPassword(t.Context(), 7, "pw-canary")
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Message != "[redacted] and [redacted] are bad" || e.Field != "[redacted]" {
		t.Errorf("error = %#v", e)
	}
}

func TestRejectedPersonsHaveTheirOwnError(t *testing.T) {
	body := `{"Results":[
		{"Email":"A@x.test","Status":"invited","InviteId":"inv_1","UserId":12,"Error":null},
		{"Email":"b@x.test","Status":"already_invited","InviteId":"inv_2","UserId":null},
		{"Email":"c@x.test","Status":"rejected","Error":{"code":"email_taken","message":"no","field":"email"}},
		{"Email":"d@x.test","Status":"rejected","Error":{"Code":"forbidden","Message":"no"}},
		{"Email":"e@x.test","Status":"rejected","Error":"invalid_field"},
		{"Email":"f@x.test","Status":"rejected"}]}`
	s := &script{replies: []reply{{status: 200, body: body}}}
	var users []InviteUser
	for name := range strings.SplitSeq("abcdef", "") {
		users = append(users, InviteUser{Email: name + "@x.test"})
	}
	results, err := newTestClient(t, s, nil).InviteUsers(t.Context(), users, []int64{113})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		status InviteStatus
		kind   Kind
	}{{Invited, 0}, {AlreadyInvited, 0}, {Rejected, Conflict}, {Rejected, Forbidden}, {Rejected, Invalid}, {Rejected, Invalid}}
	for i, w := range want {
		var kind Kind
		if results[i].Error != nil {
			kind = results[i].Error.Kind
		}
		if results[i].Status != w.status || kind != w.kind {
			t.Errorf("%s: %s, %v; want %s, %v", users[i].Email, results[i].Status, kind, w.status, w.kind)
		}
	}
	if results[0].UserID != 12 || results[0].InviteID != "inv_1" || results[1].UserID != 0 {
		t.Errorf("results = %+v", results[:2])
	}
}

func TestContentTypes(t *testing.T) {
	for value, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Application/JSON;charset=UTF-8": true,
		"application/problem+json": true, "": false, "text/html": false, "text/json+json": false, "application/jsonp": false,
		"application/json; charset": false,
	} {
		if got := isJSON(http.Header{"Content-Type": {value}}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
