package upstream

import (
	"bytes"
	_ "embed"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI is the description of the API that this client is written against (OpenAPI 3, YAML), as a copy.
func OpenAPI() []byte { return bytes.Clone(openAPI) }
