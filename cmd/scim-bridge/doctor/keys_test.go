package doctor_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
)

func TestKeys(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, seal.KeySize) }
	sealed := func(by byte, slug, place string) *store.Tenant {
		s, err := seal.New(key(by))
		check(t, err)
		return &store.Tenant{Slug: slug, Secrets: s.Seal([]byte("hunter2"), []byte(place))}
	}
	for _, tt := range []struct {
		name string
		o    doctor.KeysOptions
		want []string
	}{
		{"sound", doctor.KeysOptions{Tenants: []*store.Tenant{sealed(1, "acme", "acme")}}, []string{"ok the keys open the upstream secrets of every tenant (1)"}},
		{"another key", doctor.KeysOptions{Tenants: []*store.Tenant{sealed(2, "acme", "acme"), sealed(1, "globex", "globex")}}, []string{"error tenants acme: their upstream secrets were sealed with a key that is not configured"}},
		{"moved", doctor.KeysOptions{Tenants: []*store.Tenant{sealed(1, "acme", "globex")}}, []string{"error tenants acme: their upstream secrets are damaged"}},
		{"a previous key in use", doctor.KeysOptions{Previous: [][]byte{key(2)}, Tenants: []*store.Tenant{sealed(2, "acme", "acme")}}, []string{"notice tenants acme: their upstream secrets are sealed with a previous key"}},
		{"a previous key without use", doctor.KeysOptions{Previous: [][]byte{key(2), key(3)}, Tenants: []*store.Tenant{sealed(1, "acme", "acme"), sealed(3, "globex", "globex")}}, []string{
			"notice secrets.previous_key_files[0]: nothing is sealed with this key", "notice tenants globex: "}},
		{"a previous key that names need", doctor.KeysOptions{Previous: [][]byte{key(2)}, Tenants: []*store.Tenant{sealed(1, "acme", "acme")}, Remembered: 720 * time.Hour}, []string{
			"notice secrets.previous_key_files[0]: nothing is sealed with this key any more; but by it alone the log of requests finds names in what came before the rotation: keep it 30 days (requests.keep) from then on"}},
		{"the same key twice", doctor.KeysOptions{Previous: [][]byte{key(1)}}, []string{"error secrets: keys 1 and 2 are the same"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Key = key(1)
			expect(t, look(t, doctor.CheckKeys(tt.o)), tt.want...)
		})
	}
}
