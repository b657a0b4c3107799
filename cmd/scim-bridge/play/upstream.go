package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

const (
	// settlePoll is the time between two looks at the ledger, and settleMost
	// how long it is looked at.
	settlePoll = 50 * time.Millisecond
	settleMost = 30 * time.Second
)

// settle waits until upstream is quiet: roles that a group gives may follow
// the answer. What arrived meanwhile is shown.
func (s *session) settle(ctx context.Context) error {
	start := time.Now()
	quiet := start
	var late []effect
	for time.Since(quiet) < s.Quiet {
		if time.Since(start) >= settleMost {
			s.print.detail("=", fmt.Sprintf("upstream is still being changed after %s; what follows may not be the last word", settleMost))
			break
		}
		select {
		case <-time.After(min(settlePoll, s.Quiet)):
		case <-ctx.Done():
			return ctx.Err()
		}
		more, err := s.effects(ctx)
		if err != nil {
			return err
		}
		if len(more) > 0 {
			late, quiet = append(late, more...), time.Now()
		}
	}
	if len(late) > 0 {
		s.print.detail("=", "after the answers:")
		s.print.effects(late)
	}
	return nil
}

// world is what upstream holds of the people of the play.
type world struct {
	organizations []organization
	roles         []role
	accounts      map[string]record // by mail address in lower case, as invites
	// invites are those that are pending.
	invites map[string]invite
}

type organization struct {
	ID   int64  `json:"Id"`
	Name string `json:"Name"`
}

type role struct {
	ID     int64  `json:"Id"`
	Name   string `json:"Name"`
	Weight int    `json:"Weight"`
}

// look reads the sandbox's state and keeps what concerns the given people:
// however many others there are, they take no memory.
func (s *session) look(ctx context.Context, all []idp.Person) (*world, error) {
	ours := map[string]bool{}
	for _, p := range all {
		ours[p.Mail] = true
	}
	w := &world{accounts: map[string]record{}, invites: map[string]invite{}}
	err := s.ask(ctx, http.MethodGet, "/_sandbox/state", nil, func(r io.Reader) error {
		d := jsontext.NewDecoder(r)
		if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
			return errors.Join(errors.New("the state is not a JSON object"), err)
		}
		for d.PeekKind() == '"' {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			if err := w.read(d, name.String(), ours); err != nil {
				return err
			}
		}
		_, err := d.ReadToken()
		return err
	})
	return w, err
}

// read reads one member of the state.
func (w *world) read(d *jsontext.Decoder, name string, ours map[string]bool) error {
	switch name {
	case "accounts":
		return each(d, func(a record) {
			if mail := strings.ToLower(a.Email); ours[mail] {
				w.accounts[mail] = a
			}
		})
	case "invites":
		return each(d, func(i invite) {
			if mail := strings.ToLower(i.Email); ours[mail] && i.State == "pending" {
				w.invites[mail] = i
			}
		})
	case "organizations":
		return json.UnmarshalDecode(d, &w.organizations)
	case "roles":
		return json.UnmarshalDecode(d, &w.roles)
	}
	return d.SkipValue()
}

// each reads a list, one value at a time.
func each[T any](d *jsontext.Decoder, do func(T)) error {
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return errors.Join(errors.New("not a list"), err)
	}
	for d.PeekKind() != ']' {
		var v T
		if err := json.UnmarshalDecode(d, &v); err != nil {
			return err
		}
		do(v)
	}
	_, err := d.ReadToken()
	return err
}
