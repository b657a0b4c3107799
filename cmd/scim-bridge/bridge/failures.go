package bridge

import (
	"context"
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
)

// failureQueue is how many failed requests may wait to be recorded. More are
// counted and dropped: their clients have their answers, and a database that
// does not keep up is not to be pressed with refusals.
const failureQueue = 1024

// failures records refused and failed mutations without delaying answers.
type failures struct {
	queue   chan server.FailedRequest
	record  func(ctx context.Context, c scim.Caller, action, id string, status int, detail string)
	dropped func()
}

// add never blocks.
func (f *failures) add(_ context.Context, r server.FailedRequest) {
	select {
	case f.queue <- r:
	default:
		f.dropped()
	}
}

// run records until ctx is done, then what waits already.
func (f *failures) run(ctx context.Context) {
	for {
		select {
		case r := <-f.queue:
			f.write(ctx, r)
		case <-ctx.Done():
			for {
				select {
				case r := <-f.queue:
					f.write(ctx, r)
				default:
					return
				}
			}
		}
	}
}

func (f *failures) write(ctx context.Context, r server.FailedRequest) {
	detail := r.Detail
	if r.Type != "" {
		detail = r.Type + ": " + detail
	}
	f.record(ctx, r.Caller, action(r.Method, r.Route), r.ID, r.Status, detail)
}

// action names what a mutation asked for, as the events of acknowledged ones
// do.
func action(method, route string) string {
	verb, ok := map[string]string{
		http.MethodPost: "create", http.MethodPut: "replace", http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[method]
	if !ok {
		verb = strings.ToLower(method)
	}
	for resource, prefix := range map[string]string{"/Users": "user.", "/Groups": "group."} {
		if strings.Contains(route, resource) {
			return prefix + verb
		}
	}
	return "request." + verb
}
