package server

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// bulkAnswer is the BulkResponse (RFC 7644 §3.7): the operations that were
// processed, in the order of the request. Those that succeeded show no resource,
// as the RFC leaves it to the server.
func (s *server) bulkAnswer(operations []*bulkOperation) answer {
	b := s.buffers.get()
	out := append(*b, `{"schemas":["`+bulkResponseSchema+`"],"Operations":[`...)
	separator := ""
	for _, o := range operations {
		if o.result != nil {
			out = append(out, separator...)
			out = s.appendResult(out, o)
			separator = ","
		}
	}
	*b = append(out, `]}`...)
	return answer{status: http.StatusOK, body: *b, pooled: b}
}

func (s *server) appendResult(dst []byte, o *bulkOperation) []byte {
	dst = append(dst, '{')
	for _, m := range [...]struct{ name, value string }{
		{"method", o.method}, {"bulkId", o.bulkID}, {"version", o.result.version}, {"location", o.result.location},
	} {
		if m.value != "" {
			dst = append(dst, `"`+m.name+`":`...)
			// The error reports invalid UTF-8, which was replaced.
			dst, _ = jsontext.AppendQuote(dst, m.value)
			dst = append(dst, ',')
		}
	}
	dst = append(dst, `"status":"`...)
	dst = strconv.AppendInt(dst, int64(o.result.status), 10)
	dst = append(dst, '"')
	if o.result.refusal != nil {
		a := s.errorAnswer(o.result.refusal)
		dst = append(append(dst, `,"response":`...), a.body...)
		s.buffers.put(a)
	}
	return append(dst, '}')
}
