package provision

import (
	"errors"
	"testing"

	"github.com/sharearefund/scim-bridge/store"
)

// A row that cannot be worked with is a fault of the configuration, told once.
func TestRowsThatCannotBeLoaded(t *testing.T) {
	wrongKey := errors.New("no key opens it")
	for _, tt := range []struct {
		name, spec string
		opened     []byte
		fails      error
		want       string
	}{
		{"another key", `{"slug":"acme"}`, nil, wrongKey,
			`tenant "acme": the tenant's upstream secrets cannot be opened: no key opens it; give the servers the key that sealed them (secrets.key_file or secrets.previous_key_files), or run scim-bridge tenant apply with its tenant.yaml`},
		{"a damaged configuration", `{"slug":`, nil, nil,
			`tenant "acme": the tenant's stored configuration is damaged: unexpected end of JSON input; correct its tenant.yaml and run scim-bridge tenant apply`},
		{"no address upstream", `{"slug":"acme"}`, []byte(`{}`), nil, ""},
	} {
		ws := NewWorkspaces(WorkspacesOptions{Open: func([]byte, []byte) ([]byte, error) { return tt.opened, tt.fails }})
		_, err := ws.load(&store.Tenant{Slug: "acme", Version: 1, Spec: []byte(tt.spec)})
		if _, ok := isConfig(err); !ok {
			t.Errorf("%s: %v is no *ConfigError", tt.name, err)
			continue
		}
		if tt.fails != nil && !errors.Is(err, tt.fails) {
			t.Errorf("%s: the cause is lost", tt.name)
		}
		if tt.want != "" && err.Error() != tt.want {
			t.Errorf("%s: got %s\nwant %s", tt.name, err, tt.want)
		}
	}
}
