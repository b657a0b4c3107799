package server

import (
	"context"
	"net/http"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	bulkRequestSchema  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponseSchema = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

	// maxBulkOperations is what the ServiceProviderConfig promises.
	maxBulkOperations = 1000
)

// bulk is POST /Bulk (RFC 7644 §3.7). The request was authenticated, and
// counted by the limits of its credential, once. Each operation then passes
// through the functions that a request of its own would, with the caller, the
// dialect and the request id of the bulk request: it is validated, recorded and
// observed like one, and may fail alone. The answer is 200 whatever became of
// them.
func (s *server) bulk(x *exchange) (workFunc, error) {
	body, err := s.readBody(x, s.MaxBody)
	if err != nil {
		return nil, err
	}
	q, err := readBulk(body)
	if err != nil {
		return nil, err
	}
	for _, o := range q.operations {
		s.address(o)
	}
	keys, err := q.survey()
	if err != nil {
		return nil, err
	}
	r := &bulkRun{
		s: s, bulkRequest: q, order: q.plan(keys), busy: make([]int, keys),
		agent: x.r.Header["User-Agent"], entra: x.query.entra, identity: x.identity, caller: x.caller,
	}
	return func(ctx context.Context) (answer, error) {
		r.run(ctx)
		return s.bulkAnswer(q.operations), nil
	}, nil
}

// bulkTimes says until when operations may be begun, and when what was begun
// ends, for a bulk request whose work ends at the deadline: the last one is to
// have time, and so is the answer.
func (s *server) bulkTimes(deadline time.Time) (begin, end time.Time) {
	return deadline.Add(-s.RequestTimeout / 6), deadline.Add(-s.RequestTimeout / 30)
}

// bulkEndpoint is the endpoint /Bulk.
func (s *server) bulkEndpoint() *endpoint {
	return &endpoint{pattern: basePath + "/Bulk", methods: map[string]prepareFunc{http.MethodPost: s.bulk}}
}

// errLate answers an operation that there was no time to begin.
func errLate() error {
	return scim.Unavailable(retryLater, "the bulk request ran out of time before this operation was begun: send those again that are answered 503")
}
