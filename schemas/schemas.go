// Package schemas holds the SCIM schemas, resource types and the service
// provider configuration as embedded JSON files: the single source for
// discovery, validation and documentation (RFC 7643 §5 to §8).
package schemas

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/elimity-com/scim/schema"
)

// Attribute is one attribute definition with its characteristics (RFC 7643
// §2.2 and §7), derived from the embedded JSON. It is read-only.
type Attribute struct {
	Name            string
	Description     string
	Type            Type
	MultiValued     bool
	Required        bool
	CaseExact       bool
	Mutability      Mutability
	Returned        Returned
	Uniqueness      string
	CanonicalValues []string
	ReferenceTypes  []string
	Sub             []*Attribute
}

// Type is an attribute's data type (RFC 7643 §2.3).
type Type string

const (
	String    Type = "string"
	Boolean   Type = "boolean"
	Decimal   Type = "decimal"
	Integer   Type = "integer"
	DateTime  Type = "dateTime"
	Binary    Type = "binary"
	Reference Type = "reference"
	Complex   Type = "complex"
)

// Mutability is RFC 7643 §2.2's characteristic of that name.
type Mutability string

const (
	ReadWrite Mutability = "readWrite"
	ReadOnly  Mutability = "readOnly"
	Immutable Mutability = "immutable"
	WriteOnly Mutability = "writeOnly"
)

// Returned is RFC 7643 §2.2's characteristic of that name.
type Returned string

const (
	Always  Returned = "always"
	Never   Returned = "never"
	Default Returned = "default"
	Request Returned = "request"
)

// Schema is one schema resource (RFC 7643 §7).
type Schema struct {
	ID          string
	Name        string
	Description string
	Attributes  []*Attribute
	// JSON is the embedded file, byte for byte. Do not modify.
	JSON []byte
	// Elimity is the schema as github.com/elimity-com/scim holds it.
	Elimity schema.Schema
}

// ResourceType is one resource type (RFC 7643 §6).
type ResourceType struct {
	ID         string
	Name       string
	Endpoint   string
	Schema     string
	Extensions []string
	// JSON is the resource as embedded. Do not modify.
	JSON []byte
}

// Schema finds a schema by its URN, in any case.
func (s *Set) Schema(urn string) (*Schema, bool) {
	for _, sc := range s.schemas {
		if strings.EqualFold(sc.ID, urn) {
			return sc, true
		}
	}
	return nil, false
}

// ResourceType finds a resource type by name, in any case.
func (s *Set) ResourceType(name string) (*ResourceType, bool) {
	for _, t := range s.types {
		if strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return nil, false
}

// All lists every schema, served or not, ordered by file name.
func (s *Set) All() []*Schema { return append([]*Schema(nil), s.schemas...) }

// ServedTypes lists the resource types that this version serves.
func (s *Set) ServedTypes() []*ResourceType { return append([]*ResourceType(nil), s.served...) }

// SchemasOf lists the schemas that types use, each core schema before its
// extensions.
func (s *Set) SchemasOf(types []*ResourceType) []*Schema {
	var out []*Schema
	for _, t := range types {
		for _, urn := range append([]string{t.Schema}, t.Extensions...) {
			if sc, ok := s.Schema(urn); ok {
				out = append(out, sc)
			}
		}
	}
	return out
}

// Definition is a schema that is shown and has no resources of its own here.
type Definition struct {
	// ID is the URN, JSON the schema as embedded.
	ID, Name string
	JSON     []byte `json:"-"`
}

// Discovery lists the schemas of ServiceProviderConfig, ResourceType and Schema
// (RFC 7643 §8.7.2).
func (s *Set) Discovery() []Definition { return s.discovery }

// Published returns a copy of an embedded resource whose meta.location is made
// absolute by baseURL ("https://host/scim/v2", no slash at the end), and is
// followed by meta.version.
func Published(resource []byte, baseURL, version string) []byte {
	const key = `"location": "`
	i := bytes.LastIndex(resource, []byte(key))
	if i < 0 {
		return bytes.Clone(resource)
	}
	i += len(key)
	end := i + bytes.IndexByte(resource[i:], '"') + 1
	out := make([]byte, 0, len(resource)+len(baseURL)+64)
	out = append(out, resource[:i]...)
	out = append(out, baseURL...)
	out = append(out, resource[i:end]...)
	// A line of its own, indented as location is.
	line := bytes.LastIndexByte(resource[:i], '\n')
	indent := resource[line+1 : i-len(key)]
	out = append(out, ',')
	if len(bytes.TrimLeft(indent, " ")) == 0 && line >= 0 {
		out = append(append(out, '\n'), indent...)
	} else {
		out = append(out, ' ')
	}
	out = append(out, `"version": `...)
	out = strconv.AppendQuote(out, version)
	return append(out, resource[end:]...)
}
