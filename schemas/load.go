package schemas

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/elimity-com/scim/schema"
)

//go:embed *.json discovery/*.json
var files embed.FS

// Names of the files that are not schemas.
const (
	resourceTypesFile         = "ResourceTypes.json"
	serviceProviderConfigFile = "ServiceProviderConfig.json"
)

// servedTypes names the resource types that have handlers. The files of the
// others are kept so that serving one later needs no new definition.
var servedTypes = [...]string{"User", "Group", "Role", "IdentityProvider", "Organization"}

// Set is every embedded definition. It is immutable.
type Set struct {
	schemas []*Schema
	types   []*ResourceType
	served  []*ResourceType
	config  provider
	// discovery are the schemas of what describes the others.
	discovery []Definition
}

var loaded = sync.OnceValues(func() (*Set, error) { return load(files) })

// Load reads the embedded files once; the result is shared and read-only. An
// error names the file and can only come from a broken build.
func Load() (*Set, error) { return loaded() }

func load(fsys fs.FS) (*Set, error) {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return nil, fmt.Errorf("schemas: %w", err)
	}
	s := &Set{}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("schemas: %w", err)
		}
		switch name {
		case resourceTypesFile:
			s.types, err = parseTypes(raw)
		case serviceProviderConfigFile:
			s.config, err = parseProvider(raw)
		default:
			var sc *Schema
			if sc, err = parseSchema(raw); err == nil {
				s.schemas = append(s.schemas, sc)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("schemas: %s: %w", name, err)
		}
	}
	if err := s.describeDiscovery(fsys); err != nil {
		return nil, err
	}
	return s, s.link()
}

// describeDiscovery reads the schemas of RFC 7643 §8.7.2.
func (s *Set) describeDiscovery(fsys fs.FS) error {
	names, err := fs.Glob(fsys, "discovery/*.json")
	if err != nil {
		return fmt.Errorf("schemas: %w", err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("schemas: %w", err)
		}
		d := Definition{JSON: raw}
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("schemas: %s: %w", name, err)
		}
		s.discovery = append(s.discovery, d)
	}
	return nil
}

// link checks that every resource type's schemas are there and picks the
// served ones.
func (s *Set) link() error {
	for _, t := range s.types {
		for _, urn := range append([]string{t.Schema}, t.Extensions...) {
			if _, ok := s.Schema(urn); !ok {
				return fmt.Errorf("schemas: %s: resource type %s names schema %q, which no file defines", resourceTypesFile, t.Name, urn)
			}
		}
	}
	for _, name := range servedTypes {
		t, ok := s.ResourceType(name)
		if !ok {
			return fmt.Errorf("schemas: %s: resource type %s is served but not defined", resourceTypesFile, name)
		}
		s.served = append(s.served, t)
	}
	return nil
}

func parseSchema(raw []byte) (*Schema, error) {
	var sc schema.Schema
	if err := sc.UnmarshalJSON(raw); err != nil {
		return nil, err
	}
	if sc.ID == "" || len(sc.Attributes) == 0 {
		return nil, fmt.Errorf("a schema needs an id and attributes")
	}
	attrs, err := describe(sc.Attributes)
	if err != nil {
		return nil, err
	}
	return &Schema{
		ID:          sc.ID,
		Name:        sc.Name.Value(),
		Description: sc.Description.Value(),
		Attributes:  attrs,
		JSON:        raw,
		Elimity:     sc,
	}, nil
}

func describe(attrs schema.Attributes) ([]*Attribute, error) {
	out := make([]*Attribute, 0, len(attrs))
	seen := make(map[string]bool, len(attrs))
	for _, a := range attrs {
		if key := strings.ToLower(a.Name()); seen[key] {
			return nil, fmt.Errorf("attribute %q is defined twice", a.Name())
		} else {
			seen[key] = true
		}
		d := &Attribute{
			Name:            a.Name(),
			Description:     a.Description(),
			Type:            Type(a.AttributeType()),
			MultiValued:     a.MultiValued(),
			Required:        a.Required(),
			CaseExact:       a.CaseExact(),
			Mutability:      Mutability(a.Mutability()),
			Returned:        Returned(a.Returned()),
			Uniqueness:      a.Uniqueness(),
			CanonicalValues: a.CanonicalValues(),
		}
		for _, r := range a.ReferenceTypes() {
			d.ReferenceTypes = append(d.ReferenceTypes, string(r))
		}
		switch d.Type {
		case Binary, Reference:
			// RFC 7643 §2.3.6 and §2.3.7: both are case exact by nature.
			d.CaseExact = true
		case Complex:
			var err error
			if d.Sub, err = describe(a.SubAttributes()); err != nil {
				return nil, fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

func parseTypes(raw []byte) ([]*ResourceType, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, err
	}
	var types []*ResourceType
	for _, item := range items {
		var t struct {
			ID, Name, Endpoint, Schema string
			SchemaExtensions           []struct{ Schema string }
		}
		if err := json.Unmarshal(item, &t); err != nil {
			return nil, err
		}
		rt := &ResourceType{ID: t.ID, Name: t.Name, Endpoint: t.Endpoint, Schema: t.Schema, JSON: item}
		for _, e := range t.SchemaExtensions {
			rt.Extensions = append(rt.Extensions, e.Schema)
		}
		types = append(types, rt)
	}
	return types, nil
}
