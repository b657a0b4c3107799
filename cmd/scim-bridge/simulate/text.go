package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
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

// addressShape finds what reads as a mail address.
var addressShape = regexp.MustCompile(`[\pL\pN.!#$%&'*+/=?^_{|}~-]+@[\pL\pN-]+(\.[\pL\pN-]+)*`)

// quote is what came from outside as a report has it.
func (s *simulation) quote(text string) string { return s.clean(s.mask(text)) }

// mask takes out mail addresses that are not of the run's people: what a server
// says may name others.
func (s *simulation) mask(text string) string {
	return addressShape.ReplaceAllStringFunc(text, func(address string) string {
		if s.ours(address) {
			return address
		}
		return "[address]"
	})
}

// ours reports whether a name is one of the run's, as cast makes them, or written
// otherwise.
func (s *simulation) ours(name string) bool {
	return strings.HasPrefix(strings.ToLower(name), "simulate-"+s.Name+"-")
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

// shape is a value from an answer in words: a single one and an array of URNs
// as they are, else of what kind it is. It is not for values that may be about
// anybody: kind is.
func shape(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", clip(v, 60))
	case bool, float64:
		return fmt.Sprint(v)
	case []any:
		urns := !slices.ContainsFunc(v, func(x any) bool { return !strings.HasPrefix(textOf(x), "urn:") })
		if b, err := json.Marshal(v); urns && err == nil && len(b) <= 80 {
			return string(b)
		}
	}
	return kind(v)
}

// kind is of what kind a value from an answer is.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case string:
		return "a text"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case []any:
		return fmt.Sprintf("an array of %d", len(v))
	}
	return "an object"
}

// bodyKind is of what kind a body is that is no JSON object. What it holds may
// be about anybody.
func bodyKind(body []byte) string {
	var v any
	err := json.Unmarshal(body, &v)
	broken, isSyntax := errors.AsType[*json.SyntaxError](err)
	text := bytes.TrimSpace(body)
	switch {
	case err == nil && v == nil:
		return "null"
	case err == nil:
		return kind(v)
	case bytes.HasPrefix(text, []byte("<")):
		return "HTML or XML"
	case isSyntax && (bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("["))):
		return fmt.Sprintf("JSON up to byte %d", broken.Offset)
	}
	return fmt.Sprintf("a text of %s", plural(len(body), "byte", "bytes"))
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
