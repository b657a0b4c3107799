package cache

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
)

var redisKeyForm = regexp.MustCompile(`^sarb:1:\{(?:[a-z0-9_-]{1,63}|~[A-Za-z0-9_-]{43})\}:[a-z0-9_]+:[A-Za-z0-9_-]{43}$`)

func FuzzKeyEncoding(f *testing.F) {
	for _, s := range [][4]string{
		{"acme", "ann@acme.test", "acme", "bob@acme.test"},
		{"a", "bc", "ab", "c"}, {"", "", "", "\x00"}, {"a:1:{b}", "x", "a", "1:{b}:x"}, {"acme", "}:id:", "acme}", ":id:"},
		{"\x01a", "b", "", "a\x01b"}, {"ACME", "x", "acme", "x"}, {"~x", "", "", "~x"},
		{strings.Repeat("t", 200), "v", strings.Repeat("t", 199), "tv"}, {"a", strings.Repeat("v", 10_000), "a", strings.Repeat("v", 10_001)},
	} {
		f.Add(s[0], uint8(1), s[1], s[2], uint8(1), s[3])
		f.Add(s[0], uint8(1), s[1], s[0], uint8(2), s[1])
	}
	h := newHasher([]byte("pepper"))
	f.Fuzz(func(t *testing.T, tenant1 string, kind1 uint8, value1, tenant2 string, kind2 uint8, value2 string) {
		one, two := Key{tenant1, Kind(kind1), value1}, Key{tenant2, Kind(kind2), value2}
		same := one == two
		if got := bytes.Equal(appendKey(nil, one), appendKey(nil, two)); got != same {
			t.Fatalf("encodings of %q and %q are equal: %t", one, two, got)
		}
		if got := newMemoryKey(one) == newMemoryKey(two); got != same {
			t.Fatalf("memory keys of %q and %q are equal: %t", one, two, got)
		}
		key1, key2 := redisKey("sarb", one, h.key(one)), redisKey("sarb", two, h.key(two))
		if (key1 == key2) != same {
			t.Fatalf("redis keys of %q and %q: %s and %s", one, two, key1, key2)
		}
		if !redisKeyForm.MatchString(key1) {
			t.Fatalf("redis key of %q is %q", one, key1)
		}
		if (tenantTag(tenant1) == tenantTag(tenant2)) != (tenant1 == tenant2) {
			t.Fatalf("tenants %q and %q share the tag %s", tenant1, tenant2, tenantTag(tenant1))
		}
	})
}

func FuzzRedisValue(f *testing.F) {
	h := newHasher(nil)
	k := Key{Tenant: "acme", Kind: KindID, Value: "3f1c"}
	d := h.key(k)
	for _, m := range []Mapping{
		{}, {ID: "3f1c", UserID: 4021, Version: 7}, {InviteID: "inv_1", Version: -1},
		{ID: strings.Repeat("x", 300), UserID: math.MinInt64, Version: math.MaxInt64},
	} {
		v := h.encodeValue(d, m)
		f.Add(v)
		f.Add(v[:len(v)-sumLen])
		f.Add(v[:headLen])
		f.Add(append(bytes.Clone(v), 0))
		f.Add(bytes.Replace(v, []byte("s1"), []byte("s2"), 1))
	}
	f.Add([]byte(nil))
	f.Add([]byte(`{"id":"3f1c"}`))
	f.Add(bytes.Repeat([]byte{0xff}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		// As found, and with a sound sum, which no fuzzer comes upon.
		sum := h.value(b)
		for _, v := range [][]byte{b, append(bytes.Clone(b), sum[:sumLen]...)} {
			m, err := h.decodeValue(v, d)
			switch {
			case err != nil && m != (Mapping{}):
				t.Fatalf("decodeValue(%q) = %+v beside the error %v", v, m, err)
			case err == nil && !bytes.Equal(h.encodeValue(d, m), v):
				t.Fatalf("decodeValue(%q) = %+v, which is written otherwise", v, m)
			}
			if _, err := h.decodeValue(v, h.key(Key{Tenant: "other"})); err == nil {
				t.Fatalf("decodeValue(%q) accepts another key", v)
			}
		}
		if !bytes.Equal(b, before) {
			t.Fatal("decodeValue changed its input")
		}
	})
}

func TestDecodeValueRefuses(t *testing.T) {
	h := newHasher([]byte("pepper"))
	k := Key{Tenant: "acme", Kind: KindUserName, Value: "ann@acme.test"}
	good := h.encodeValue(h.key(k), Mapping{ID: "3f1c", UserID: 4021, InviteID: "inv_1", Version: 7})
	if _, err := h.decodeValue(good, h.key(k)); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x04
		if _, err := h.decodeValue(flipped, h.key(k)); err == nil {
			t.Errorf("byte %d may be changed unnoticed", i)
		}
		if _, err := h.decodeValue(good[:i], h.key(k)); err == nil {
			t.Errorf("it may be cut to %d bytes unnoticed", i)
		}
	}
	otherKind, otherTenant := k, k
	otherKind.Kind, otherTenant.Tenant = KindEmail, "globex"
	otherSecret := newHasher([]byte("salt"))
	for name, tt := range map[string]struct {
		h    *hasher
		v    []byte
		k    Key
		want error
	}{
		"another kind":      {h, good, otherKind, errForeignValue},
		"another tenant":    {h, good, otherTenant, errForeignValue},
		"another secret":    {otherSecret, good, k, errDamaged},
		"no secret":         {newHasher(nil), good, k, errDamaged},
		"an older schema":   {h, append([]byte("s0"), good[2:]...), k, errSchema},
		"a longer value":    {h, append(bytes.Clone(good), 'x'), k, errDamaged},
		"nothing":           {h, nil, k, errSchema},
		"the schema only":   {h, []byte(valueSchema), k, errDamaged},
		"something else":    {h, []byte(`{"id":"3f1c"}`), k, errSchema},
		"a huge ID length":  {h, h.forge(good, 62, 0xff), k, errDamaged},
		"letters in a head": {h, h.forge(good, 5, 'x'), k, errDamaged},
		"a head above 2^64": {h, h.forge(good, 2, '9'), k, errDamaged},
	} {
		if _, err := tt.h.decodeValue(tt.v, tt.h.key(tt.k)); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// forge replaces one byte and makes the sum fit again.
func (h *hasher) forge(v []byte, i int, c byte) []byte {
	body := bytes.Clone(v[:len(v)-sumLen])
	body[i] = c
	sum := h.value(body)
	return append(body, sum[:sumLen]...)
}

// Whoever reads the server must find neither names nor addresses there.
func TestNothingPersonalIsStored(t *testing.T) {
	h := newHasher([]byte("pepper"))
	for _, kind := range []Kind{KindUserName, KindEmail, KindExternalID} {
		k := Key{Tenant: "acme", Kind: kind, Value: "ann.canary@acme.test"}
		d := h.key(k)
		stored := redisKey("sarb", k, d) + string(h.encodeValue(d, Mapping{ID: "3f1c"}))
		if strings.Contains(stored, "canary") {
			t.Errorf("%s is stored in the clear: %q", kind, stored)
		}
		if plain := newHasher(nil).key(k); plain == d {
			t.Errorf("%s: the digest does not depend on the secret", kind)
		}
	}
}

func BenchmarkDecodeValue(b *testing.B) {
	h := newHasher([]byte("pepper"))
	k := Key{Tenant: "acme", Kind: KindUserName, Value: "ann@acme.test"}
	d := h.key(k)
	v := h.encodeValue(d, Mapping{ID: "3f1c0000-0000-5000-8000-000000000001", UserID: 4021, Version: 7})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.decodeValue(v, d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRedisKey(b *testing.B) {
	h := newHasher([]byte("pepper"))
	k := Key{Tenant: "acme", Kind: KindUserName, Value: "ann@acme.test"}
	b.ReportAllocs()
	for b.Loop() {
		redisKey("sarb", k, h.key(k))
	}
}
