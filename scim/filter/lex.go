package filter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	ast "github.com/scim2/filter-parser/v2"
)

func (p *parser) errorf(pos int, format string, args ...any) *Error {
	return &Error{Kind: p.kind, Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// found describes the text at the current position, shortened, for errors.
func (p *parser) found() string {
	if p.pos >= len(p.text) {
		return "the end"
	}
	rest := p.text[p.pos:]
	end := strings.IndexByte(rest, ' ')
	switch {
	case end < 0:
		end = len(rest)
	case end == 0:
		end = 1
	}
	const most = 40
	if end > most {
		return strconv.Quote(rest[:most]) + "…"
	}
	return strconv.Quote(rest[:end])
}

// peek is the byte at the current position, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.text) && p.text[p.pos] == ' ' {
		p.pos++
	}
}

// keyword steps over w, when it stands alone behind optional spaces, in any
// case.
func (p *parser) keyword(w string) bool {
	at := p.pos
	p.space()
	if strings.EqualFold(p.word(), w) {
		if c := p.peek(); c == ' ' || c == '(' {
			return true
		}
	}
	p.pos = at
	return false
}

// word steps over letters.
func (p *parser) word() string {
	at := p.pos
	for p.pos < len(p.text) && isAlpha(p.text[p.pos]) {
		p.pos++
	}
	return p.text[at:p.pos]
}

// bareword steps over what can stand for a value without quotes.
func (p *parser) bareword() string {
	at := p.pos
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '(', ')', '[', ']', '"':
			return p.text[at:p.pos]
		}
		p.pos++
	}
	return p.text[at:p.pos]
}

// attributePath reads [URN ":"] name ["." sub] (RFC 7644 §3.10). A URN ends
// at the last colon, since versions in it hold dots.
func (p *parser) attributePath() (ast.AttributePath, error) {
	start := p.pos
	colon := -1
	for p.pos < len(p.text) && isPathByte(p.text[p.pos]) {
		if p.text[p.pos] == ':' {
			colon = p.pos
		}
		p.pos++
	}
	end := p.pos
	var attr ast.AttributePath
	name := start
	if colon >= 0 {
		urn := p.text[start:colon]
		if len(urn) < 5 || !strings.EqualFold(urn[:4], "urn:") || strings.HasSuffix(urn, ":") {
			return attr, p.errorf(start, "expected an attribute, or urn:…:attribute, found %s", strconv.Quote(p.text[start:end]))
		}
		attr.URIPrefix = &urn
		name = colon + 1
	}
	text := p.text[name:end]
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		sub := text[dot+1:]
		if !isName(sub) {
			return attr, p.errorf(name+dot+1, "expected a sub-attribute, found %s", strconv.Quote(sub))
		}
		attr.SubAttribute = &sub
		text = text[:dot]
	}
	if !isName(text) {
		p.pos = name
		if text != "" {
			return attr, p.errorf(name, "expected an attribute, found %s", strconv.Quote(text))
		}
		return attr, p.errorf(name, "expected an attribute, found %s", p.found())
	}
	attr.AttributeName = text
	return attr, nil
}

// subAttribute reads "." name behind a closing bracket.
func (p *parser) subAttribute() (string, error) {
	p.pos++
	at := p.pos
	for p.pos < len(p.text) && isNameByte(p.text[p.pos]) {
		p.pos++
	}
	name := p.text[at:p.pos]
	if !isName(name) {
		p.pos = at
		return "", p.errorf(at, "expected a sub-attribute, found %s", p.found())
	}
	return name, nil
}

func isAlpha(c byte) bool    { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool    { return c >= '0' && c <= '9' }
func isNameByte(c byte) bool { return isAlpha(c) || isDigit(c) || c == '-' || c == '_' || c == '$' }

// isPathByte tells what a URN, an attribute and a sub-attribute consist of
// (RFC 8141 without percent-encoding, which no schema URN uses).
func isPathByte(c byte) bool { return isNameByte(c) || c == ':' || c == '.' }

// isName follows ATTRNAME of RFC 7643 §2.1, and admits $ref.
func isName(s string) bool {
	if s == "" || !isAlpha(s[0]) && s[0] != '$' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isNameByte(s[i]) || s[i] == '$' {
			return false
		}
	}
	return s != "$"
}

// isNumber follows RFC 8259 §6.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := func() bool {
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		s = s[n:]
		return n > 0
	}
	if strings.HasPrefix(s, "0") {
		s = s[1:]
	} else if !digits() {
		return false
	}
	if strings.HasPrefix(s, ".") {
		s = s[1:]
		if !digits() {
			return false
		}
	}
	if s != "" && s[0]|0x20 == 'e' {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// isBareValue refuses what would hide a mistake: quotes, control characters.
func isBareValue(w string) bool {
	if w == "" || !utf8.ValidString(w) {
		return false
	}
	return !strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\'' || r == '\\' })
}

// quoted reads a JSON string (RFC 8259 §7). Without escapes it is a substring
// of the text.
func (p *parser) quoted() (string, error) {
	open := p.pos
	p.pos++
	start := p.pos
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '"':
			s := p.text[start:p.pos]
			p.pos++
			return s, p.endOfString(s, open)
		case c == '\\':
			s, err := p.unescape(open, start)
			if err != nil {
				return "", err
			}
			return s, p.endOfString(s, open)
		case c < ' ':
			return "", p.errorf(p.pos, "a control character in a string is written as an escape such as \\n")
		}
		p.pos++
	}
	return "", p.errorf(open, "the string that begins here is not closed")
}

func (p *parser) endOfString(s string, open int) error {
	if !utf8.ValidString(s) {
		return p.errorf(open, "the string that begins here is not valid UTF-8")
	}
	if c := p.peek(); c != 0 && c != ' ' && c != ')' && c != ']' {
		return p.errorf(p.pos, "expected a space after the string, found %s", p.found())
	}
	return nil
}

// unescape continues a string at its first backslash.
func (p *parser) unescape(open, start int) (string, error) {
	buf := make([]byte, 0, len(p.text)-start)
	buf = append(buf, p.text[start:p.pos]...)
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			return string(buf), nil
		case c < ' ':
			return "", p.errorf(p.pos, "a control character in a string is written as an escape such as \\n")
		case c != '\\':
			buf = append(buf, c)
			p.pos++
			continue
		}
		r, n := escape(p.text[p.pos:])
		if n == 0 {
			return "", p.errorf(p.pos, "expected an escape of JSON such as \\n, \\\" or \\u00e9, found %s", p.found())
		}
		buf = utf8.AppendRune(buf, r)
		p.pos += n
	}
	return "", p.errorf(open, "the string that begins here is not closed")
}

// escape decodes the escape that s begins with and reports its length, 0 when
// it is none. Halves of surrogate pairs are none.
func escape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(s)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		low, ok := hex4(s[6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, 0
		}
		return r, 12
	}
	return 0, 0
}

// hex4 decodes \uXXXX at the beginning of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
