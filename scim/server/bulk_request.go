package server

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/scim"
)

// bulkRequest is the body of a POST to /Bulk (RFC 7644 §3.7).
type bulkRequest struct {
	// failOnErrors is how many errors end the request; 0: no number does.
	failOnErrors int
	operations   []*bulkOperation
	// creators are the indexes of the operations that create something, by
	// bulkId.
	creators map[string]int
	// doubled are the bulkIds of several such operations: what refers to one of
	// them says nothing.
	doubled map[string]bool
}

// bulkOperation is one operation, and what became of it.
type bulkOperation struct {
	// number counts from 1.
	number int
	// method, bulkID, path, version and data are as they were sent; empty when
	// they are absent or null.
	method, bulkID, path, version string
	data                          []byte
	// refusal answers an operation that is wrong whatever becomes of the others.
	refusal error

	// endpoint and id are what the path leads to. Where a bulkId stands for the
	// id, target is that one, and id is empty until it is known.
	endpoint *endpoint
	id       string
	target   string
	// references are those in data.
	references []bulkReference
	// needs are the indexes of the operations that create what this one refers
	// to.
	needs []int
	// keys are what no two operations may be at work on at once, as small
	// numbers.
	keys []int
	// beside says which operations may run at the same time as this one.
	beside bulkKind

	// result is nil until the operation is answered.
	result *bulkResult
}

// bulkResult is the answer to one operation.
type bulkResult struct {
	status int
	// version and location are those of the resource, "" when it has none.
	version, location string
	// created is the id of the resource that a POST made.
	created string
	// refusal is nil for success.
	refusal *scim.Error
}

// refuse keeps the first error that is not nil.
func (o *bulkOperation) refuse(err error) { o.refusal = or(o.refusal, err) }

// readBulk reads a BulkRequest. What is wrong with a single operation is left
// in it; the error is that of the whole request.
func readBulk(body []byte) (*bulkRequest, error) {
	members, err := scim.ReadMessage(body, bulkRequestSchema, "failOnErrors", "Operations")
	if err != nil {
		return nil, err
	}
	q := &bulkRequest{}
	if text, ok := members["failOnErrors"]; ok {
		if q.failOnErrors, err = readFailOnErrors(text); err != nil {
			return nil, err
		}
	}
	text, ok := members["Operations"]
	if !ok {
		return nil, scim.BadRequest(scim.TypeInvalidSyntax, "Operations: missing; a bulk request lists its operations there (RFC 7644 §3.7)")
	}
	list, err := scim.ReadArray(text, "Operations")
	if err != nil {
		return nil, err
	}
	if len(list) > maxBulkOperations {
		return nil, &scim.Error{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf(
			"the request has %d operations, at most %d are accepted: send them in several requests", len(list), maxBulkOperations)}
	}
	for i, text := range list {
		o, err := readBulkOperation(text, i)
		if err != nil {
			return nil, err
		}
		q.operations = append(q.operations, o)
	}
	return q, nil
}

// readFailOnErrors reads a number of errors; 0 is as good as none.
func readFailOnErrors(text jsontext.Value) (int, error) {
	digits := string(text)
	if strings.Trim(digits, "0123456789") != "" {
		return 0, scim.BadRequest(scim.TypeInvalidValue, "failOnErrors: must be a whole number, 1 or more; leave it out to let any number of operations fail")
	}
	// Out of range is the only error left: more than there are operations.
	n, err := strconv.Atoi(digits)
	if err != nil {
		return math.MaxInt, nil
	}
	return n, nil
}

// readBulkOperation reads the operation with the index i.
func readBulkOperation(text jsontext.Value, i int) (*bulkOperation, error) {
	members, err := scim.ReadMembers(text, fmt.Sprintf("Operations[%d].", i), "method", "bulkId", "version", "path", "data")
	if err != nil {
		return nil, err
	}
	o := &bulkOperation{number: i + 1}
	for name, to := range map[string]*string{"method": &o.method, "bulkId": &o.bulkID, "version": &o.version, "path": &o.path} {
		if text, ok := members[name]; ok {
			s, err := scim.ReadString(text, name)
			*to = s
			o.refuse(err)
		}
	}
	o.data = members["data"]
	o.refuse(o.check())
	if o.method == http.MethodDelete {
		o.data = nil
	}
	return o, nil
}

// check looks for what every operation has to have.
func (o *bulkOperation) check() error {
	switch o.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	case "":
		return scim.BadRequest(scim.TypeInvalidSyntax, "method: missing; it is POST, PUT, PATCH or DELETE")
	default:
		return scim.BadRequest(scim.TypeInvalidValue, "method is %q: an operation is POST, PUT, PATCH or DELETE; send others as requests of their own", clip(o.method))
	}
	switch {
	case o.path == "":
		return scim.BadRequest(scim.TypeInvalidSyntax, `path: missing; it is that of a resource type or of a resource, such as "/Users" or "/Users/{id}"`)
	case o.method == http.MethodPost && o.bulkID == "":
		return scim.BadRequest(scim.TypeInvalidSyntax, "bulkId: missing; a POST has one that no other operation has (RFC 7644 §3.7)")
	case o.method != http.MethodDelete && o.data == nil:
		return scim.BadRequest(scim.TypeInvalidSyntax, "data: missing; it is the body that the request would have on its own")
	}
	return nil
}
