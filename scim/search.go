package scim

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// searchSchema is the URN of a SearchRequest.
const searchSchema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// SearchRequest is a query that was sent as a body (RFC 7644 §3.4.3): each field
// is the query parameter of the same name as it would stand in a URL, decoded;
// nil when it is absent. Lists of attributes are joined by commas.
type SearchRequest struct {
	Filter, SortBy, SortOrder      *string
	StartIndex, Count, Cursor      *string
	Attributes, ExcludedAttributes *string
}

// DecodeSearch reads the body of a POST to /.search.
func DecodeSearch(body []byte) (*SearchRequest, error) {
	var s SearchRequest
	fields := []struct {
		name string
		to   **string
		read func(jsontext.Value, string) (string, error)
	}{
		{"filter", &s.Filter, ReadString},
		{"sortBy", &s.SortBy, ReadString},
		{"sortOrder", &s.SortOrder, ReadString},
		{"startIndex", &s.StartIndex, readInteger},
		{"count", &s.Count, readInteger},
		{"cursor", &s.Cursor, ReadString},
		{"attributes", &s.Attributes, readNames},
		{"excludedAttributes", &s.ExcludedAttributes, readNames},
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	members, err := ReadMessage(body, searchSchema, names...)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		text, ok := members[f.name]
		if !ok {
			continue
		}
		v, err := f.read(text, f.name)
		if err != nil {
			return nil, err
		}
		*f.to = &v
	}
	return &s, nil
}

// readInteger reads a number, or a string that holds one, as it is written.
func readInteger(text jsontext.Value, what string) (string, error) {
	switch k := text.Kind(); k {
	case '0':
		return string(text), nil
	case '"':
		return ReadString(text, what)
	default:
		return "", BadRequest(TypeInvalidValue, "%s: must be an integer, found %s", what, kindName(k))
	}
}

// readNames reads a list of attribute names, or one string that has them
// separated by commas, as in a URL.
func readNames(text jsontext.Value, what string) (string, error) {
	if text.Kind() == '"' {
		return ReadString(text, what)
	}
	list, err := ReadStrings(text, what)
	if err != nil {
		return "", err
	}
	return strings.Join(list, ","), nil
}
