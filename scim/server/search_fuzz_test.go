package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
)

// FuzzSearchBody: no body of a search fails, and one that can be read is
// answered as the same query in an address is.
func FuzzSearchBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `[]`, ``, `{"filter":`, `{"filter":"id eq \"user-2\"","startIndex":1,"count":2}`, `{"startIndex":"2","COUNT":"1","unknown":{"a":[1]}}`,
		`{"sortBy":"userName","sortOrder":"descending","attributes":["userName","emails"]}`, `{"excludedAttributes":"emails,name.givenName"}`,
		`{"attributes":["userName"],"excludedAttributes":["id"]}`, `{"cursor":"","count":1}`, `{"cursor":"AAAA","startIndex":1}`, `{"count":-1,"startIndex":0}`,
		`{"count":1e400}`, `{"count":99999999999999999999}`, `{"filter":"password pr"}`, `{"filter":null,"sortBy":""}`, `{"filter":"a","Filter":"b"}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"emails[type eq \"work\"].value co \"a\""}`, `{"schemas":["x"]}`,
	} {
		f.Add([]byte(s))
	}
	r := newRig(f, unlimited).with(f, 3)
	ask := func(t *testing.T, method, target, body string) (int, map[string]any) {
		req, rec := request(method, target, body), httptest.NewRecorder()
		r.handler.ServeHTTP(rec, req)
		checkAnswer(t, req, rec)
		if rec.Code != 200 && rec.Code != 400 && rec.Code != 413 {
			t.Fatalf("%s %s with %s: %d %s", method, target, body, rec.Code, rec.Body)
		}
		var answer map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		delete(answer, "nextCursor") // which is bound to its address
		delete(answer, "detail")
		return rec.Code, answer
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := bytes.Clone(body)
		s, err := scim.DecodeSearch(body)
		if !bytes.Equal(body, sent) {
			t.Fatal("the body was changed")
		}
		code, answer := ask(t, "POST", "/scim/v2/Users/.search", string(body))
		if err != nil {
			if code == 200 {
				t.Fatalf("%v, but %s is answered", err, body)
			}
			return
		}
		q := url.Values{}
		for name, p := range map[string]*string{
			"filter": s.Filter, "sortBy": s.SortBy, "sortOrder": s.SortOrder, "startIndex": s.StartIndex, "count": s.Count, "cursor": s.Cursor,
			"attributes": s.Attributes, "excludedAttributes": s.ExcludedAttributes,
		} {
			if p != nil {
				q.Set(name, *p)
			}
		}
		if _, want := ask(t, "GET", "/scim/v2/Users?"+q.Encode(), ""); !cmp.Equal(want, answer) {
			t.Errorf("%s (-address +body):\n%s", body, cmp.Diff(want, answer))
		}
		r.mu.Lock()
		r.logged.Reset()
		r.observed, r.failed = nil, nil
		r.mu.Unlock()
		r.users.mu.Lock()
		r.users.calls = nil
		r.users.mu.Unlock()
	})
}

// FuzzCursor: a cursor is read as the place that it was made for, one that was
// changed is not read at all, and no text panics.
func FuzzCursor(f *testing.F) {
	f.Add("", []byte(`{"q":1}`), int64(1), "a", 0.5)
	f.Add("AAAAAAAAAAA", []byte(`{"y":-1}`), int64(math.MaxInt64), "é\x00", math.Inf(1))
	f.Add("????", []byte(`{"q":1}{}`), int64(-1), "\xff", math.NaN())
	s := newRig(f, nil).handler.(*server)
	m := mark{1, 2, 3, 4, 5, 6, 7, 8}
	f.Fuzz(func(t *testing.T, text string, change []byte, seq int64, value string, number float64) {
		if _, err := s.parseCursor(text, m); err == nil && text != "" {
			t.Fatalf("%q was never sealed", text)
		}
		if seq < 0 || number != number || math.IsInf(number, 0) {
			return // no resource has such a place
		}
		want := place{Position: scim.Position{Seq: seq, Value: scim.SortValue{Set: true, Text: value, Int: seq, Number: number}}}
		if plain, err := json.Marshal(value); err != nil || json.Unmarshal(plain, &want.Value.Text) != nil {
			t.Fatal(err) // a text that is not UTF-8 is not one of an attribute
		}
		cursor := string(s.appendCursor(nil, m, want))
		if len(cursor) > maxCursor {
			return
		}
		if got, err := s.parseCursor(cursor, m); err != nil || got != want {
			t.Fatalf("%+v is read as %+v, %v", want, got, err)
		}
		if _, err := s.parseCursor(cursor, mark{}); err == nil {
			t.Fatalf("%q belongs to two queries", cursor)
		}
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(raw)
		for i, b := range change {
			changed[i%len(changed)] ^= b
		}
		if bytes.Equal(changed, raw) {
			return
		}
		if _, err := s.parseCursor(base64.RawURLEncoding.EncodeToString(changed), m); err == nil {
			t.Fatalf("%q was changed by %x and passed", cursor, change)
		}
	})
}
