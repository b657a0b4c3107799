package badinput

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

// answerReader reads the answers on a connection.
type answerReader struct{ in *bufio.Reader }

func newAnswerReader(c net.Conn) *answerReader { return &answerReader{bufio.NewReader(c)} }

// next reads the answer to a request, of which only the method matters.
func (a *answerReader) next(t *testing.T, request []byte) bridgetest.Response {
	t.Helper()
	method, _, _ := bytes.Cut(request, []byte(" "))
	res, err := http.ReadResponse(a.in, &http.Request{Method: string(method)})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("answer %d cut short: %v", res.StatusCode, err)
	}
	return bridgetest.Response{Status: res.StatusCode, Header: res.Header, Body: body}
}

// atEnd checks that the server closes the connection without another answer.
func (a *answerReader) atEnd(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(a.in)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection stays open: %v", err)
	}
	if len(rest) > 0 {
		t.Errorf("more than one answer: %q", rest)
	}
}

// request writes a request as bytes. Lines are headers; Host and
// Authorization come first.
func request(method, target, body string, lines ...string) string {
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n")
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}
