package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxQuoted is how much of what a server says is quoted, in characters.
const maxQuoted = 400

// clean makes what came from outside fit for a report: no control characters,
// no bidirectional overrides, no token, and not too long.
func (s *simulation) clean(text string) string {
	if len(s.Token) >= 8 { // a shorter one is no secret, and part of many words
		text = strings.ReplaceAll(text, s.Token, "[token]")
	}
	text = strings.Map(func(c rune) rune {
		switch {
		case c < ' ' || c == 0x7f:
			return ' '
		case c >= 0x80 && c < 0xa0 || c == '\u2028' || c == '\u2029' || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069':
			return '�'
		}
		return c
	}, strings.ToValidUTF8(text, "�"))
	return clip(strings.TrimSpace(text), maxQuoted)
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

// sent is a body as a report shows it: without a password, which is made up but
// looks like one.
func sent(body []byte) string {
	var object map[string]json.RawMessage
	if body == nil || json.Unmarshal(body, &object) != nil {
		return ""
	}
	if _, ok := object["password"]; !ok {
		return string(body)
	}
	delete(object, "password")
	b, err := json.Marshal(object)
	if err != nil {
		return ""
	}
	return string(b)
}

// textOf is v where it is a text, else "".
func textOf(v any) string {
	text, _ := v.(string)
	return text
}

// hasText reports whether v is an array with the text in it.
func hasText(v any, text string) bool {
	all, _ := v.([]any)
	return slices.ContainsFunc(all, func(x any) bool { return strings.EqualFold(textOf(x), text) })
}

// shape is a value from an answer in words: short ones as they are, else of
// what kind it is.
func shape(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case string:
		return fmt.Sprintf("%q", clip(v, 60))
	case bool, float64:
		return fmt.Sprint(v)
	case []any:
		if b, err := json.Marshal(v); err == nil && len(b) <= 80 {
			return string(b)
		}
		return fmt.Sprintf("an array of %d", len(v))
	}
	return "an object"
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
