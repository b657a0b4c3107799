package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func mustLoad(t *testing.T) *Set {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryFileIsServedByteForByte(t *testing.T) {
	s := mustLoad(t)
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(s.All()) + 2; len(names) != want {
		t.Errorf("%d files for %d definitions", len(names), want)
	}
	for _, sc := range s.All() {
		raw, err := fs.ReadFile(files, sc.Name+".json")
		if err != nil {
			t.Errorf("a schema's file is named after it: %v", err)
			continue
		}
		if !bytes.Equal(raw, sc.JSON) {
			t.Errorf("%s is not served byte for byte", sc.Name)
		}
	}
}

// TestValues checks what Microsoft's gallery validation and strict clients
// stumble over: nulls, empty strings, empty arrays and empty $refs.
func TestValues(t *testing.T) {
	s := mustLoad(t)
	docs := map[string][]byte{"ServiceProviderConfig": mustConfig(t, s)}
	for _, sc := range s.All() {
		docs[sc.Name] = sc.JSON
	}
	for _, rt := range s.types {
		docs["ResourceType "+rt.Name] = rt.JSON
	}
	for _, d := range s.Discovery() {
		docs[d.Name] = d.JSON
	}
	for name, raw := range docs {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		walk(t, name, v)
		m := v.(map[string]any)
		meta, ok := m["meta"].(map[string]any)
		if !ok {
			t.Errorf("%s: no meta", name)
			continue
		}
		if loc, _ := meta["location"].(string); !strings.HasPrefix(loc, "/") {
			t.Errorf("%s: meta.location %q is not relative to the base URL", name, loc)
		}
		if rt, _ := meta["resourceType"].(string); rt == "" {
			t.Errorf("%s: no meta.resourceType", name)
		}
	}
}

func walk(t *testing.T, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("%s is null", path)
	case string:
		if v == "" {
			t.Errorf("%s is empty", path)
		}
	case []any:
		if len(v) == 0 {
			t.Errorf("%s is an empty array", path)
		}
		for _, e := range v {
			walk(t, path+"[]", e)
		}
	case map[string]any:
		for k, e := range v {
			walk(t, path+"."+k, e)
		}
	}
}

func TestEveryAttributeSaysEveryCharacteristic(t *testing.T) {
	for _, sc := range mustLoad(t).All() {
		var doc struct{ Attributes []map[string]any }
		if err := json.Unmarshal(sc.JSON, &doc); err != nil {
			t.Fatal(err)
		}
		var check func(path string, a map[string]any)
		check = func(path string, a map[string]any) {
			for _, key := range []string{"name", "type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"} {
				if _, ok := a[key]; !ok {
					t.Errorf("%s: no %s", path, key)
				}
			}
			if a["type"] == "reference" && a["referenceTypes"] == nil {
				t.Errorf("%s: no referenceTypes", path)
			}
			subs, _ := a["subAttributes"].([]any)
			if (a["type"] == "complex") != (len(subs) > 0) {
				t.Errorf("%s: type %v with %d subAttributes", path, a["type"], len(subs))
			}
			for _, sub := range subs {
				m := sub.(map[string]any)
				if m["type"] == "complex" {
					t.Errorf("%s.%v: RFC 7643 §2.3.8 allows no complex sub-attribute", path, m["name"])
				}
				check(path+"."+m["name"].(string), m)
			}
		}
		for _, a := range doc.Attributes {
			check(sc.Name+"."+a["name"].(string), a)
		}
	}
}

// TestElimityRoundTrip checks that nothing is lost between a file and the
// library's types, but for what its JSON form leaves out: meta, and the
// caseExact and uniqueness of complex and boolean attributes.
func TestElimityRoundTrip(t *testing.T) {
	for _, sc := range mustLoad(t).All() {
		out, err := sc.Elimity.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]any
		if err := json.Unmarshal(sc.JSON, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		delete(want, "meta")
		forget(want["attributes"].([]any))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-file +library):\n%s", sc.Name, d)
		}
	}
}

func forget(attrs []any) {
	for _, e := range attrs {
		a := e.(map[string]any)
		if a["type"] == "complex" || a["type"] == "boolean" {
			delete(a, "caseExact")
			delete(a, "uniqueness")
		}
		if subs, ok := a["subAttributes"].([]any); ok {
			forget(subs)
		}
	}
}

// TestGalleryAttributes lists what Microsoft Entra's default mappings write:
// its gallery validation wants every mapped attribute in /Schemas.
func TestGalleryAttributes(t *testing.T) {
	s := mustLoad(t)
	for urn, names := range map[string][]string{
		"urn:ietf:params:scim:schemas:core:2.0:User": {
			"userName", "active", "displayName", "title", "emails", "preferredLanguage", "name", "addresses",
			"phoneNumbers", "externalId", "nickName", "roles", "userType", "locale", "timezone", "profileUrl",
		},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
			"employeeNumber", "department", "manager", "organization", "division", "costCenter",
		},
		"urn:ietf:params:scim:schemas:core:2.0:Group": {"displayName", "externalId", "members"},
	} {
		sc, ok := s.Schema(urn)
		if !ok {
			t.Errorf("no schema %s", urn)
			continue
		}
		for _, name := range names {
			if !slices.ContainsFunc(sc.Attributes, func(a *Attribute) bool { return a.Name == name }) {
				t.Errorf("%s lacks %s", sc.Name, name)
			}
		}
	}
}

func TestServed(t *testing.T) {
	s := mustLoad(t)
	var names []string
	for _, sc := range s.SchemasOf(s.ServedTypes()) {
		names = append(names, sc.Name)
	}
	if d := cmp.Diff([]string{"User", "EnterpriseUser", "ShareARefundUser", "Group", "Role", "IdentityProvider", "Organization"}, names); d != "" {
		t.Errorf("served schemas (-want +got):\n%s", d)
	}
	var endpoints []string
	for _, rt := range s.ServedTypes() {
		endpoints = append(endpoints, rt.Endpoint)
	}
	if d := cmp.Diff([]string{"/Users", "/Groups", "/Roles", "/IdentityProviders", "/Organizations"}, endpoints); d != "" {
		t.Errorf("served types (-want +got):\n%s", d)
	}
	if _, ok := s.Schema("URN:ietf:params:scim:schemas:core:2.0:USER"); !ok {
		t.Error("schema URNs are found in any case")
	}
}

func mustConfig(t *testing.T, s *Set) []byte {
	t.Helper()
	raw, err := s.ServiceProviderConfig(Capabilities{MaxPayloadSize: 4096, ChangePassword: true, DefaultPageSize: 100, MaxPageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestServiceProviderConfig(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal(mustConfig(t, mustLoad(t)), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"bulk":           map[string]any{"supported": true, "maxOperations": 1000.0, "maxPayloadSize": 4096.0},
		"changePassword": map[string]any{"supported": true},
		"filter":         map[string]any{"supported": true, "maxResults": 1000.0},
		"pagination": map[string]any{
			"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100.0, "maxPageSize": 1000.0,
		},
	} {
		if d := cmp.Diff(want, got[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// TestDiscoveryIsDescribed holds what discovery shows against the schemas that
// describe it (RFC 7643 §8.7.2): every member is an attribute, and every required
// attribute a member.
func TestDiscoveryIsDescribed(t *testing.T) {
	s := mustLoad(t)
	type attribute struct {
		Name          string
		Type          string
		MultiValued   bool
		Required      bool
		SubAttributes []json.RawMessage
	}
	var conforms func(where string, attrs []json.RawMessage, v map[string]any)
	conforms = func(where string, attrs []json.RawMessage, v map[string]any) {
		// A sub-attribute of Schema is described as an attribute is.
		known := map[string]bool{"schemas": true, "meta": true, "subAttributes": where == "Schema.attributes.subAttributes"}
		for _, raw := range attrs {
			var a attribute
			if err := json.Unmarshal(raw, &a); err != nil {
				t.Fatal(err)
			}
			known[a.Name] = true
			value, ok := v[a.Name]
			if !ok {
				if a.Required {
					t.Errorf("%s lacks %s", where, a.Name)
				}
				continue
			}
			list, many := value.([]any)
			if many != a.MultiValued {
				t.Errorf("%s.%s: several values: %v", where, a.Name, many)
			}
			if !many {
				list = []any{value}
			}
			for _, e := range list {
				if o, ok := e.(map[string]any); ok != (a.Type == "complex") {
					t.Errorf("%s.%s is %T, type %s", where, a.Name, e, a.Type)
				} else if ok {
					conforms(where+"."+a.Name, a.SubAttributes, o)
				}
			}
		}
		for name := range v {
			if !known[name] {
				t.Errorf("%s has %s, which the schema does not", where, name)
			}
		}
	}
	docs := map[string][][]byte{"ServiceProviderConfig": {mustConfig(t, s)}}
	for _, rt := range s.types {
		docs["ResourceType"] = append(docs["ResourceType"], rt.JSON)
	}
	for _, sc := range s.All() {
		docs["Schema"] = append(docs["Schema"], sc.JSON)
	}
	for _, d := range s.Discovery() {
		docs["Schema"] = append(docs["Schema"], d.JSON)
	}
	for _, d := range s.Discovery() {
		var def struct{ Attributes []json.RawMessage }
		if err := json.Unmarshal(d.JSON, &def); err != nil || len(docs[d.Name]) == 0 {
			t.Fatalf("%s: %v, %d documents", d.Name, err, len(docs[d.Name]))
		}
		for _, raw := range docs[d.Name] {
			var v map[string]any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			conforms(d.Name, def.Attributes, v)
		}
	}
}

func TestPublished(t *testing.T) {
	s := mustLoad(t)
	user, _ := s.Schema("urn:ietf:params:scim:schemas:core:2.0:User")
	for _, resource := range [][]byte{mustConfig(t, s), user.JSON, s.types[0].JSON} {
		before := bytes.Clone(resource)
		var was, is struct {
			Meta struct{ ResourceType, Location, Version string }
		}
		if err := errors.Join(json.Unmarshal(resource, &was), json.Unmarshal(Published(resource, "https://scim.example.com/scim/v2", `W/"1"`), &is)); err != nil {
			t.Fatal(err)
		}
		if is.Meta.Version != `W/"1"` || is.Meta.Location != "https://scim.example.com/scim/v2"+was.Meta.Location || is.Meta.ResourceType != was.Meta.ResourceType {
			t.Errorf("meta is %+v, was %+v", is.Meta, was.Meta)
		}
		if !bytes.Equal(before, resource) {
			t.Error("the embedded resource was changed")
		}
	}
}

func TestLoadNamesTheBrokenFile(t *testing.T) {
	for _, tt := range []struct{ name, file, body, want string }{
		{"broken JSON", "X.json", `{`, "X.json"},
		{"no id", "X.json", `{"attributes":[]}`, "needs an id"},
		{"same attribute twice", "X.json", `{"id":"urn:x","attributes":[{"name":"a","type":"string"},{"name":"A","type":"string"}]}`, `"A" is defined twice`},
		{"unknown schema", "ResourceTypes.json", `[{"name":"T","schema":"urn:nowhere"}]`, `"urn:nowhere"`},
		{"served type missing", "ResourceTypes.json", `[]`, "User is served but not defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(fstest.MapFS{tt.file: {Data: []byte(tt.body)}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want it to say %q", err, tt.want)
			}
		})
	}
}
