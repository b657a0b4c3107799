package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	oldKey = bytes.Repeat([]byte{0x11}, KeySize)
	newKey = bytes.Repeat([]byte{0xfb}, KeySize)
)

func sealer(t *testing.T, keys ...[]byte) *Sealer {
	t.Helper()
	s, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpensWhatItSealed(t *testing.T) {
	s := sealer(t, newKey)
	rapid.Check(t, func(t *rapid.T) {
		plain, aad := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed := s.Seal(plain, aad)
		got, err := s.Open(sealed, aad)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opened %x, %v", got, err)
		}
		if len(plain) > 7 && bytes.Contains(sealed, plain) {
			t.Fatal("the plaintext is in the sealed value")
		}
		if bytes.Equal(sealed, s.Seal(plain, aad)) {
			t.Fatal("sealed twice alike")
		}
		damaged := bytes.Clone(sealed)
		damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := s.Open(damaged, aad); err == nil {
			t.Fatal("a damaged value opened")
		}
		if _, err := s.Open(sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], aad); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a cut value: %v", err)
		}
		if _, err := s.Open(sealed, append(bytes.Clone(aad), 'x')); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a value of another place: %v", err)
		}
	})
}

func TestKeysRotate(t *testing.T) {
	before, during, after := sealer(t, oldKey), sealer(t, newKey, oldKey), sealer(t, newKey)
	aad := []byte("tenant acme")
	old := before.Seal([]byte("secret"), aad)
	if got, err := during.Open(old, aad); err != nil || string(got) != "secret" {
		t.Fatalf("opened %q, %v", got, err)
	}
	if !during.Stale(old) || before.Stale(old) || !during.Stale(nil) {
		t.Error("stale is told wrongly")
	}
	fresh := during.Seal([]byte("secret"), aad)
	if during.Stale(fresh) {
		t.Error("a fresh value is stale")
	}
	if got, err := after.Open(fresh, aad); err != nil || string(got) != "secret" {
		t.Fatalf("opened %q, %v", got, err)
	}
	if _, err := after.Open(old, aad); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("error is %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		keys [][]byte
		want string
	}{
		{"no key", nil, "no key is given"},
		{"a short key", [][]byte{newKey, newKey[1:]}, "key 2 has 31 bytes, need 32"},
		{"the same key twice", [][]byte{newKey, oldKey, newKey}, "keys 1 and 3 are the same"},
	} {
		if _, err := New(c.keys...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestParseKey(t *testing.T) {
	standard, url := base64.StdEncoding.EncodeToString(newKey), base64.URLEncoding.EncodeToString(newKey)
	for _, c := range []struct{ name, in, wantErr string }{
		{"hexadecimal", hex.EncodeToString(newKey), ""},
		{"capitals and space", " " + strings.ToUpper(hex.EncodeToString(newKey)) + "\n", ""},
		{"base64", standard, ""},
		{"base64 without padding", strings.TrimRight(standard, "="), ""},
		{"base64 for URLs", url, ""},
		{"nothing", " \n", "the key is empty"},
		{"a pass phrase", "correct horse battery staple!", "neither hexadecimal nor base64"},
		{"too short", hex.EncodeToString(newKey[:30]), "need 32"},
		{"too long", base64.StdEncoding.EncodeToString(append(bytes.Clone(newKey), 1)), "the key has 33 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseKey(c.in)
			if c.wantErr == "" {
				if err != nil || !bytes.Equal(got, newKey) {
					t.Fatalf("got %x, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wantErr) {
				t.Fatalf("error is %v, want %q", err, c.wantErr)
			}
			if in := strings.TrimSpace(c.in); in != "" && strings.Contains(err.Error(), in) {
				t.Fatalf("the error shows the key, I14: %v", err)
			}
		})
	}
}

func TestNothingShowsAKey(t *testing.T) {
	s := sealer(t, newKey, oldKey)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%x", s), fmt.Sprintf("%d", s), fmt.Sprintf("%+v", *s)} {
		if strings.Contains(text, "251") || strings.Contains(text, "fbfb") || strings.Contains(text, "0xfb") {
			t.Errorf("shows a key: %s", text)
		}
	}
}
