package scim

import (
	"fmt"
	"testing"
)

const entraPatch = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
{"op":"Replace","path":"active","value":"False"},
{"op":"Replace","path":"emails[type eq \"work\"].value","value":"new@contoso.com"},
{"op":"Replace","path":"name.familyName","value":"Younger"},
{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"m-2"}]}`

func BenchmarkDecodeEntraUser(b *testing.B) {
	c, body := newCodec(b), []byte(entraUser)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, _, err := c.Decode(body, DialectEntra); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseFilter(b *testing.B) {
	c := newCodec(b)
	for _, bb := range []struct{ name, in string }{
		{"userName", `userName eq "bjensen@example.com"`},
		{"work e-mail", `emails[type eq "work"].value eq "bjensen@example.com"`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.ParseFilter(bb.in, DialectEntra); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	c, u := newCodec(b), fullUser()
	for _, bb := range []struct{ name, in string }{
		{"userName", `userName eq "BJensen@example.com"`},
		{"work e-mail", `emails[type eq "work"].value eq "bjensen@example.com"`},
		{"three terms", `active eq true and (name.familyName sw "J" or urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department co "tour")`},
	} {
		f, err := c.ParseFilter(bb.in, DialectRFC)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !c.Match(f, u) {
					b.Fatal("no match")
				}
			}
		})
	}
}

func BenchmarkPatch(b *testing.B) {
	c := newCodec(b)
	u, _, err := c.Decode([]byte(entraUser), DialectEntra)
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct{ name, body string }{
		{"active", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`},
		{"four operations", entraPatch},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := c.DecodePatch([]byte(bb.body), DialectEntra)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := c.Apply(p, u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	c, u := newCodec(b), fullUser()
	e, _, err := c.Decode([]byte(entraUser), DialectEntra)
	if err != nil {
		b.Fatal(err)
	}
	e.ID, e.Meta = u.ID, u.Meta
	buf := make([]byte, 0, 1<<20)
	b.Run("Entra user", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = c.Append(buf[:0], e, Projection{})
		}
	})
	b.Run("every attribute", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = c.Append(buf[:0], u, Projection{})
		}
	})
	b.Run("100 Entra users", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = buf[:0]
			for range 100 {
				buf = c.Append(buf, e, Projection{})
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	c := newCodec(b)
	stored := c.AppendFull(nil, fullUser())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Load(stored); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClone(b *testing.B) {
	c, u := newCodec(b), fullUser()
	b.ReportAllocs()
	for b.Loop() {
		c.Clone(u)
	}
}

func BenchmarkDecodeGroup(b *testing.B) {
	c := newGroupCodec(b)
	for _, n := range []int{0, 1, 10_000} {
		body := manyMembers(n)
		b.Run(fmt.Sprint(n, " members"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, _, err := c.Decode(body, DialectRFC); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeGroupPatch(b *testing.B) {
	c := newGroupCodec(b)
	for _, bb := range []struct {
		name string
		d    Dialect
		ops  string
	}{
		{"Entra add", DialectEntra, `{"op":"Add","path":"members","value":[{"$ref":null,"value":"2819c223-7f76-453a-919d-413861904646"}]}`},
		{"Entra remove", DialectEntra, `{"op":"Remove","path":"members","value":[{"value":"2819c223-7f76-453a-919d-413861904646"}]}`},
		{"Entra remove by the RFC", DialectEntra, `{"op":"remove","path":"members[value eq \"2819c223-7f76-453a-919d-413861904646\"]"}`},
		{"Okta exchange", DialectOkta, `{"op":"remove","path":"members[value eq \"89bb\"]"},{"op":"add","path":"members","value":[{"value":"2819c223-7f76-453a-919d-413861904646","display":"t@okta"}]}`},
		{"Okta name", DialectOkta, `{"op":"replace","value":{"id":"2819c223-7f76-453a-919d-413861904646","displayName":"X"}}`},
		{"JumpCloud add", DialectJumpCloud, `{"op":"add","path":"members","value":[{"value":"2819c223-7f76-453a-919d-413861904646"}]}`},
	} {
		body := operations(bb.ops)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.DecodePatch(body, bb.d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendGroup(b *testing.B) {
	c := newGroupCodec(b)
	g := &Group{ID: "2819c223-7f76-453a-919d-413861904646", DisplayName: "Managers", Meta: fullUser().Meta}
	m := &Member{Value: "2819c223-7f76-453a-919d-413861904646", Type: "User", Display: "Ada Byron"}
	buf := make([]byte, 0, 1<<20)
	b.Run("without members", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = c.Append(buf[:0], g, Projection{})
		}
	})
	b.Run("1000 members", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = buf[:0]
			for range 1000 {
				buf = c.AppendMember(buf, m, "https://bridge.example.com/scim/v2/Users/", Projection{})
			}
		}
	})
}
