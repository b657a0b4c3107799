package requestlog

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var testKey = bytes.Repeat([]byte{7, 11}, 16)

func testPseudonyms(t testing.TB, keys ...[]byte) *Pseudonyms {
	t.Helper()
	if len(keys) == 0 {
		keys = [][]byte{testKey}
	}
	p, err := NewPseudonyms(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPseudonymsAreStable(t *testing.T) {
	p := testPseudonyms(t)
	// Computed apart from this program. A change loses what was logged before.
	const want = "p-yep46ppg6v5c"
	for _, spelling := range []string{"ada@example.com", "Ada@Example.COM", "ADA@EXAMPLE.COM"} {
		if got := p.Of("acme", spelling); got != want {
			t.Errorf("%q: %s, want %s", spelling, got, want)
		}
	}
	if got := p.Of("acme", ""); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	if !isPseudonym(want) || isPseudonym("p-lo") || isPseudonym("ada@example.com") {
		t.Error("pseudonyms are not told from other words")
	}
}

func TestPseudonymsDiffer(t *testing.T) {
	p, other := testPseudonyms(t), testPseudonyms(t, bytes.Repeat([]byte{1}, 32))
	seen := map[string]bool{}
	for _, got := range []string{
		p.Of("acme", "ada@example.com"), p.Of("globex", "ada@example.com"), p.Of("acme", "bo@example.com"),
		other.Of("acme", "ada@example.com"),
	} {
		if seen[got] {
			t.Errorf("%s stands for two", got)
		}
		seen[got] = true
	}
}

func TestPseudonymsOfEveryKey(t *testing.T) {
	old := bytes.Repeat([]byte{1}, 32)
	before, after := testPseudonyms(t, old), testPseudonyms(t, testKey, old)
	all := after.All("acme", "ada@example.com")
	if len(all) != 2 || all[0] != after.Of("acme", "ada@example.com") || all[1] != before.Of("acme", "ada@example.com") {
		t.Errorf("%v", all)
	}
	if got := after.All("acme", ""); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestPseudonymsNeedKeys(t *testing.T) {
	for _, keys := range [][][]byte{nil, {testKey, nil}, {[]byte("short")}} {
		if _, err := NewPseudonyms(keys...); err == nil {
			t.Errorf("%d keys: no error", len(keys))
		}
	}
}

func TestPseudonymsDoNotShowTheirValue(t *testing.T) {
	p := testPseudonyms(t)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringN(4, 40, -1).Draw(t, "value")
		got := p.Of("acme", value)
		if !isPseudonym(got) || strings.Contains(got, value) || p.Of("acme", value) != got {
			t.Errorf("%q became %q", value, got)
		}
	})
}
