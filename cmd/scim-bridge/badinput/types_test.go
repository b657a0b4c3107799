package badinput

import (
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/schemas"
)

// shapes is a value of each JSON type, and what it is called.
var shapes = []struct{ json, name string }{
	{"true", "boolean"}, {"7", "number"}, {`"x"`, "string"}, {`["x"]`, "array"}, {`{"x":1}`, "object"},
}

// types is group U again, generated: every attribute of every schema with a
// value of every wrong type, by POST and by PATCH.
func types() []attempt {
	set, err := schemas.Load()
	if err != nil {
		panic(err)
	}
	var all []attempt
	for _, urn := range []string{userSchema, enterpriseSchema, bridgetest.ExtensionURN} {
		sc, ok := set.Schema(urn)
		if !ok {
			panic("no schema " + urn)
		}
		for _, a := range sc.Attributes {
			if a.Mutability == schemas.ReadOnly {
				continue
			}
			all = append(all, swapped(urn, a)...)
		}
	}
	return all
}

func swapped(urn string, a *schemas.Attribute) []attempt {
	var all []attempt
	path, prefix := a.Name, ""
	if urn != userSchema {
		prefix = urn + ":"
	}
	wrap := func(json string) string {
		member := `"` + a.Name + `":` + json
		switch {
		case urn != userSchema:
			return user(`"` + urn + `":{` + member + `}`)
		case a.Name == "userName":
			return named(json)
		case a.Name == "active":
			return user2(member)
		case a.Name == "name" || a.Name == "emails":
			return bodyWith(`"userName":"{new}"`, member)
		}
		return user(member)
	}
	refuse := func(at, json, inPost, inPatch string) {
		if inPost != "" {
			all = append(all, refusedPost("U36 "+prefix+at+" "+json, wrap(inPost), 400, value, a.Name, "must be"))
		}
		if inPatch != "" {
			all = append(all, operations("U36 PATCH "+prefix+at+" "+json, 400, value, `{"op":"replace","path":"`+prefix+at+`","value":`+inPatch+`}`, "Operations[0]", a.Name, "must be"))
			pathless := operations("U36 PATCH without a path "+prefix+at+" "+json, 400, value, `{"op":"add","value":{"`+prefix+at+`":`+inPatch+`}}`, "Operations[0]", a.Name, "must be")
			if prefix+at != a.Name {
				pathless.as = "entra" // the client that sends paths as keys
			}
			if !strings.HasSuffix(at, ".primary") || json != `"x"` {
				all = append(all, pathless) // Entra's junk in primary is dropped
			}
		}
	}
	for _, s := range shapes {
		switch {
		case a.MultiValued && s.name == "array" && a.Type != schemas.String:
			refuse(path, s.json, s.json, s.json) // of strings
		case a.MultiValued:
			if s.name == "array" || a.Type == schemas.Complex && s.name == "object" {
				continue
			}
			// A PATCH takes one value for a list of one.
			inPatch := s.json
			if fits(a.Type, s.name) {
				inPatch = ""
			}
			refuse(path, s.json, s.json, inPatch)
		case !fits(a.Type, s.name) && !(a.Name == "manager" && (s.name == "string" || s.name == "array")):
			refuse(path, s.json, s.json, s.json)
		}
	}
	for _, sub := range a.Sub {
		for _, s := range shapes {
			if sub.Mutability == schemas.ReadOnly || fits(sub.Type, s.name) {
				continue
			}
			inPost := `{"` + sub.Name + `":` + s.json + `}`
			if a.MultiValued {
				inPost = `[` + inPost + `]`
			}
			refuse(path+"."+sub.Name, s.json, inPost, s.json)
			if a.MultiValued {
				all = append(all, operations("U36 PATCH "+prefix+path+"[type eq \"work\"]."+sub.Name+" "+s.json, 400, value,
					`{"op":"replace","path":"`+prefix+path+`[type eq \"work\"].`+sub.Name+`","value":`+s.json+`}`, "Operations[0]", a.Name, "must be"))
			}
		}
	}
	return all
}

// fits tells whether a JSON type is right for an attribute's.
func fits(t schemas.Type, json string) bool {
	switch t {
	case schemas.Boolean:
		return json == "boolean"
	case schemas.Integer, schemas.Decimal:
		return json == "number"
	case schemas.Complex:
		return json == "object"
	}
	return json == "string"
}
