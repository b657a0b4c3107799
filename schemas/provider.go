package schemas

import (
	"encoding/json"
	"fmt"
)

// provider is the ServiceProviderConfig (RFC 7643 §5, RFC 9865 §4), with its
// members in the order in which they are shown.
type provider struct {
	Schemas []string  `json:"schemas"`
	Patch   supported `json:"patch"`
	Bulk    struct {
		supported
		MaxOperations  int   `json:"maxOperations"`
		MaxPayloadSize int64 `json:"maxPayloadSize"`
	} `json:"bulk"`
	Filter struct {
		supported
		MaxResults int `json:"maxResults"`
	} `json:"filter"`
	ChangePassword supported `json:"changePassword"`
	Sort           supported `json:"sort"`
	ETag           supported `json:"etag"`
	Pagination     struct {
		Cursor                  bool   `json:"cursor"`
		Index                   bool   `json:"index"`
		DefaultPaginationMethod string `json:"defaultPaginationMethod"`
		DefaultPageSize         int    `json:"defaultPageSize"`
		MaxPageSize             int    `json:"maxPageSize"`
	} `json:"pagination"`
	AuthenticationSchemes []json.RawMessage `json:"authenticationSchemes"`
	Meta                  struct {
		ResourceType string `json:"resourceType"`
		Location     string `json:"location"`
	} `json:"meta"`
}

type supported struct {
	Supported bool `json:"supported"`
}

// Capabilities is what the options of a server say beside its
// ServiceProviderConfig.json.
type Capabilities struct {
	// MaxPayloadSize is that of a bulk request, in bytes.
	MaxPayloadSize int64
	// ChangePassword: the client may change passwords.
	ChangePassword bool
	// DefaultPageSize and MaxPageSize are numbers of resources.
	DefaultPageSize, MaxPageSize int
}

// MaxResults is the largest page, MaxOperations how many operations a bulk
// request may have; both are announced by the ServiceProviderConfig.
func (s *Set) MaxResults() int    { return s.config.Filter.MaxResults }
func (s *Set) MaxOperations() int { return s.config.Bulk.MaxOperations }

// ServiceProviderConfig is the resource of RFC 7643 §5, to be Published.
func (s *Set) ServiceProviderConfig(c Capabilities) ([]byte, error) {
	p := s.config
	p.Bulk.MaxPayloadSize = c.MaxPayloadSize
	p.ChangePassword.Supported = c.ChangePassword
	p.Pagination.DefaultPageSize, p.Pagination.MaxPageSize = c.DefaultPageSize, c.MaxPageSize
	return json.MarshalIndent(p, "", "  ")
}

func parseProvider(raw []byte) (provider, error) {
	var p provider
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, err
	}
	if p.Filter.MaxResults <= 0 || p.Bulk.MaxOperations <= 0 {
		return p, fmt.Errorf("filter.maxResults is %d and bulk.maxOperations %d: want numbers above 0", p.Filter.MaxResults, p.Bulk.MaxOperations)
	}
	return p, nil
}
