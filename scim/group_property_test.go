package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// applyChanges is what a handler does with a GroupPatch, on a set.
func applyChanges(c *GroupCodec, p *GroupPatch, members map[string]bool) map[string]bool {
	for _, ch := range p.Members {
		next := map[string]bool{}
		if ch.Op != MemberReplace {
			maps.Copy(next, members)
		}
		for _, v := range ch.Values {
			if ch.Op == MemberRemove {
				delete(next, v)
			} else {
				next[v] = true
			}
		}
		for v := range members {
			if ch.Filter != nil && c.Match(ch.Filter, &Group{Members: []Member{{Value: v, Type: "User", Display: strings.ToUpper(v)}}}) {
				delete(next, v)
			}
		}
		members = next
	}
	return members
}

// TestGroupPatchesAreSetOperations compares what requests in every shape do to
// a set with what they say.
func TestGroupPatchesAreSetOperations(t *testing.T) {
	t.Parallel()
	c := newGroupCodec(t)
	id := rapid.SampledFrom([]string{"u1", "u2", "u3", "u4", "u5", "u6"})
	list := func(ids []string) string {
		entries := []string{}
		for _, v := range ids {
			entries = append(entries, `{"value":"`+v+`"}`)
		}
		return "[" + strings.Join(entries, ",") + "]"
	}
	either := func(ids []string) string {
		terms := []string{}
		for _, v := range ids {
			terms = append(terms, `value eq \"`+v+`\"`)
		}
		return strings.Join(terms, " or ")
	}
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]bool{}
		for _, v := range rapid.SliceOf(id).Draw(t, "before") {
			model[v] = true
		}
		before := maps.Clone(model)
		var ops []string
		for range rapid.IntRange(0, 6).Draw(t, "operations") {
			ids := rapid.SliceOfN(id, 0, 4).Draw(t, "ids")
			some := append(slices.Clone(ids), "u1")
			kept := func(keep func(string) bool) {
				maps.DeleteFunc(model, func(v string, _ bool) bool { return !keep(v) })
			}
			added := func(ids []string) {
				for _, v := range ids {
					model[v] = true
				}
			}
			switch rapid.IntRange(0, 9).Draw(t, "shape") {
			case 0:
				ops = append(ops, `{"op":"Add","path":"members","value":`+list(ids)+`}`)
				added(ids)
			case 1:
				ops = append(ops, `{"op":"add","value":{"members":`+list(ids)+`,"id":"g"}}`)
				added(ids)
			case 2:
				ops = append(ops, `{"op":"add","path":"members[value eq \"u1\"]","value":{"display":"x","type":"User"}}`)
				added([]string{"u1"})
			case 3:
				ops = append(ops, `{"op":"Remove","path":"members","value":`+list(ids)+`}`)
				kept(func(v string) bool { return !slices.Contains(ids, v) })
			case 4:
				ops = append(ops, `{"op":"remove","path":"members[`+either(some)+`]"}`)
				kept(func(v string) bool { return !slices.Contains(some, v) })
			case 5:
				ops = append(ops, `{"op":"remove","path":"members[not (`+either(some)+`)]"}`)
				kept(func(v string) bool { return slices.Contains(some, v) })
			case 6:
				ops = append(ops, `{"op":"remove","path":"members[display eq \"U2\" or value ew \"3\"]"}`)
				kept(func(v string) bool { return v != "u2" && v != "u3" })
			case 7:
				ops = append(ops, `{"op":"replace","path":"members","value":`+list(ids)+`}`)
				clear(model)
				added(ids)
			case 8:
				ops = append(ops, `{"op":"remove","path":"members"}`)
				clear(model)
			case 9:
				ops = append(ops, `{"op":"replace","value":{"id":"g","displayName":"X"}}`)
			}
		}
		d := Dialect(rapid.IntRange(0, len(dialectNames)-1).Draw(t, "dialect"))
		p, err := c.DecodePatch(operations(strings.Join(ops, ",")), d)
		if err != nil {
			t.Fatalf("%s: %v", ops, err)
		}
		if diff := cmp.Diff(model, applyChanges(c, p, before)); diff != "" {
			t.Fatalf("%s (-model +patch):\n%s", ops, diff)
		}
	})
}

// sameRules reports whether p changes members by rules that are those of every
// multi-valued attribute too: not by what a new member lacks until the handler
// knows more of it, and not by null for an entry.
func sameRules(p *Patch) bool {
	grows, selects := false, false
	for i := range p.steps {
		s := &p.steps[i]
		if s.top.path != "members" {
			continue
		}
		if s.filter != nil && s.op == opAdd && s.clears {
			return false
		}
		if members, ok := valueOf[[]Member](s); ok && slices.ContainsFunc(members, func(m Member) bool { return m.Type != "" }) {
			return false
		}
		grows = grows || s.op != opRemove
		selects = selects || s.filter != nil
	}
	return !grows || !selects
}

func valueOf[T any](s *step) (v T, ok bool) {
	if s.value.IsValid() {
		v, ok = s.value.Interface().(T)
	}
	return v, ok
}

// FuzzDecodeGroupPatch compares a GroupPatch with the general Patch of the
// same body, which changes a group that is held whole.
func FuzzDecodeGroupPatch(f *testing.F) {
	c := newGroupCodec(f)
	for _, ops := range []string{
		``, `{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"},{"$ref":null,"value":"u2"}]}`, `{"op":"Remove","path":"members","value":[{"value":"u1"}]}`,
		`{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"add","path":"members","value":{"value":"u3","display":"t@okta"}}`,
		`{"op":"replace","value":{"members":[],"id":"g","displayName":"g"}}`, `{"op":"remove","path":"members"}`, `{"op":"remove","path":"members","value":[]}`,
		`{"op":"remove","path":"members[display sw \"A\" or value eq \"u2\"]"}`, `{"op":"add","path":"members[value eq \"a\"]","value":{"value":"a"}}`,
		`{"op":"replace","path":"` + GroupSchema + `:members","value":null},{"op":"remove","path":"externalId"}`, `{"op":"replace","path":"displayName","value":"X"}`,
	} {
		for d := range dialectNames {
			f.Add(operations(ops), uint8(d))
		}
	}
	f.Add([]byte(`{"Operations":null}`), uint8(0))
	f.Fuzz(func(t *testing.T, body []byte, dialect uint8) {
		sent, d := string(body), Dialect(dialect%uint8(len(dialectNames)))
		p, err := c.DecodePatch(body, d)
		if string(body) != sent {
			t.Fatal("the body was changed")
		}
		if err != nil {
			wantClientError(t, err)
			return
		}
		for _, ch := range p.Members {
			if ch.Filter != nil && (len(ch.Values) > 0 || ch.Op != MemberRemove) {
				t.Fatalf("%+v", ch)
			}
			for i, v := range ch.Values {
				if slices.Contains(ch.Values[:i], v) {
					t.Fatalf("%q twice in %v", v, ch.Values)
				}
			}
		}
		again, err := c.DecodePatch([]byte(sent), d)
		if err != nil || fmt.Sprint(changesOf(p)) != fmt.Sprint(changesOf(again)) {
			t.Fatalf("read again: %v, %v", changesOf(again), err)
		}
		general, err := c.Codec.DecodePatch(body, d)
		if err != nil {
			t.Fatalf("the general patch: %v", err)
		}
		cur := &Group{ID: "g", ExternalID: "e", DisplayName: "X", Members: []Member{{Value: "u1", Type: "User", Display: "U1"}, {Value: "u2", Type: "User", Display: "U2"}, {Value: "u3", Type: "User", Display: "U3"}}}
		next, _, err := c.Apply(general, cur)
		if err != nil || !sameRules(general) {
			return
		}
		want, got := map[string]bool{}, applyChanges(c, p, map[string]bool{"u1": true, "u2": true, "u3": true})
		for _, m := range next.Members {
			want[m.Value] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-general +group):\n%s", body, diff)
		}
		name := cur.DisplayName
		if p.DisplayName != nil {
			name = *p.DisplayName
		}
		if name != next.DisplayName || p.ExternalID != nil && *p.ExternalID != next.ExternalID {
			t.Fatalf("displayName %q, want %q", name, next.DisplayName)
		}
		if !json.Valid(c.Append(nil, next, Projection{})) {
			t.Fatal("not JSON")
		}
	})
}

func FuzzGroupBody(f *testing.F) {
	c := newGroupCodec(f)
	for _, s := range []string{
		`{"displayName":"X"}`, string(manyMembers(20)), `{"displayName":"X","members":[]}`, `{"displayName":"X","members":[{"value":"u","display":null,"$ref":null,"type":"user"},{"VALUE":"\u0075"}]}`,
		`{"schemas":["` + GroupSchema + `","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1","displayName":"X","meta":{"resourceType":"Group"}}`,
	} {
		f.Add([]byte(s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, body []byte, dialect uint8) {
		sent, d := bytes.Clone(body), Dialect(dialect%uint8(len(dialectNames)))
		g, _, err := c.Decode(sent, d)
		if !bytes.Equal(body, sent) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			wantClientError(t, err)
			return
		}
		// What was read does not share the body's memory.
		clear(sent)
		again, _, err := c.Decode(c.Append(nil, g, Projection{}), d)
		if err != nil {
			t.Fatalf("%+v: %v", g, err)
		}
		if len(g.Members) == 0 {
			g.Members = nil
		}
		if diff := cmp.Diff(g, again); diff != "" {
			t.Fatalf("(-read +read again):\n%s", diff)
		}
	})
}
