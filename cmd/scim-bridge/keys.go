package main

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/store/seal"
)

// sealingKeys are the settings' key and the previous ones.
func sealingKeys(s settings.Secrets) [][]byte {
	keys := [][]byte{s.Key}
	for _, k := range s.PreviousKeys {
		keys = append(keys, k)
	}
	return keys
}

// sealer seals with the settings' key, and opens with the previous ones too.
func sealer(s settings.Secrets) (*seal.Sealer, error) { return seal.New(sealingKeys(s)...) }

// cacheKey is the key of the shared cache's digests, derived so that it gives
// nothing away about the one that seals.
func cacheKey(key settings.Key) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "scim-bridge cache digests", 32)
}

// cursorKey is the key of the cursors of lists, derived likewise.
func cursorKey(key settings.Key) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, "scim-bridge list cursors", 32)
}

// pseudonyms are those of the log of requests: by the settings' key, and by the
// previous ones for what was logged before a rotation.
func pseudonyms(s settings.Secrets) (*requestlog.Pseudonyms, error) {
	return requestlog.NewPseudonyms(sealingKeys(s)...)
}

// demoKey is a key of the demo's own, kept beside its data.
func demoKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, seal.KeySize)
		_, _ = rand.Read(key) // documented never to fail
		text = []byte(base64.StdEncoding.EncodeToString(key) + "\n")
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := seal.ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}
