package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
)

// KeysOptions are what CheckKeys looks at.
type KeysOptions struct {
	// Key is the one that seals, Previous are those of
	// secrets.previous_key_files, each of seal.KeySize bytes.
	Key      []byte
	Previous [][]byte
	// Tenants has every tenant of the store.
	Tenants []*store.Tenant
	// Remembered is how long the log of requests keeps rows, whose names are
	// found by the key of their time. 0: there is no such log.
	Remembered time.Duration
}

// CheckKeys checks that the keys open every tenant's secrets, and which of the
// previous ones are still needed.
func CheckKeys(o KeysOptions) Check {
	return Check{Name: Keys, Look: func(context.Context) []Finding {
		var f findings
		all, err := seal.New(append([][]byte{o.Key}, o.Previous...)...)
		if err != nil {
			f.add(Error, "secrets", "name each key once, in the order of their age", "%s", strings.TrimPrefix(err.Error(), "seal: "))
			return f
		}
		current, err := seal.New(o.Key)
		if err != nil {
			f.add(Error, "secrets", "", "%s", strings.TrimPrefix(err.Error(), "seal: "))
			return f
		}
		var foreign, damaged, older []string
		for _, t := range o.Tenants {
			switch _, err := all.Open(t.Secrets, []byte(t.Slug)); {
			case errors.Is(err, seal.ErrUnknownKey):
				foreign = append(foreign, t.Slug)
			case err != nil:
				damaged = append(damaged, t.Slug)
			case current.Stale(t.Secrets):
				older = append(older, t.Slug)
			}
		}
		if len(foreign) > 0 {
			f.add(Error, "tenants "+some(foreign), "add the key that sealed them to secrets.previous_key_files, or run scim-bridge tenant apply with each tenant.yaml",
				"their upstream secrets were sealed with a key that is not configured: every request of theirs is 503")
		}
		if len(damaged) > 0 {
			f.add(Error, "tenants "+some(damaged), "run scim-bridge tenant apply with each tenant.yaml, or restore the database",
				"their upstream secrets are damaged: every request of theirs is 503")
		}
		if len(older) > 0 {
			f.add(Notice, "tenants "+some(older), "scim-bridge tenant reseal", "their upstream secrets are sealed with a previous key")
		}
		if len(foreign)+len(damaged) == 0 {
			f.ok("secrets", "the keys open the upstream secrets of every tenant (%d)", len(o.Tenants))
		}
		f.unneeded(o)
		return f
	}}
}

// unneeded tells which previous keys nothing is sealed with.
func (f *findings) unneeded(o KeysOptions) {
	for i, k := range o.Previous {
		s, err := seal.New(k)
		if err != nil {
			continue // said above
		}
		needed := false
		for _, t := range o.Tenants {
			needed = needed || !s.Stale(t.Secrets)
		}
		if needed {
			continue
		}
		detail, remedy := "nothing is sealed with this key any more", "remove it, and restart the servers in turn"
		if o.Remembered > 0 {
			keep := span(o.Remembered) + " (requests.keep)"
			detail += "; but by it alone the log of requests finds names in what came before the rotation: keep it " + keep + " from then on"
			remedy += ", when that time has passed or if such names do not matter"
		}
		f.add(Notice, fmt.Sprintf("secrets.previous_key_files[%d]", i), remedy, "%s", detail)
	}
}

// some shortens a list of slugs.
func some(slugs []string) string {
	const most = 5
	if len(slugs) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(slugs[:most], ", "), len(slugs)-most)
	}
	return strings.Join(slugs, ", ")
}
