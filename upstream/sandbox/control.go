package sandbox

import (
	"errors"
	"net/http"
	"strconv"
)

// controlHandler serves the side door.
func (s *Sandbox) controlHandler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request, []byte) (answer, error){
		"GET /_sandbox/state":  func(*http.Request, []byte) (answer, error) { return ok(s.State()) },
		"GET /_sandbox/stats":  func(*http.Request, []byte) (answer, error) { return ok(s.Stats()) },
		"GET /_sandbox/ledger": s.controlLedger,
		"GET /_sandbox/outbox": func(*http.Request, []byte) (answer, error) {
			return ok(map[string]any{"mails": nonNil(s.Outbox())})
		},
		"GET /_sandbox/faults": func(*http.Request, []byte) (answer, error) {
			return ok(map[string]any{"rules": s.Faults()})
		},
		"PUT /_sandbox/faults": s.controlFaults,
		"GET /_sandbox/gates": func(*http.Request, []byte) (answer, error) {
			return ok(map[string]any{"gates": s.Gates()})
		},
		"POST /_sandbox/gates":         s.controlOpenGate,
		"POST /_sandbox/accept":        s.controlAccept,
		"POST /_sandbox/edit":          s.controlEdit,
		"POST /_sandbox/account":       s.controlAccount,
		"POST /_sandbox/id_token":      s.controlIDToken,
		"POST /_sandbox/revoke_tokens": s.controlRevokeTokens,
		"POST /_sandbox/reset":         s.controlReset,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := readBody(w, r)
			if err != nil {
				writeError(w, err)
				return
			}
			out, err := handle(r, body)
			status, header, encoded := encode(out, err)
			if status == http.StatusInternalServerError {
				s.log.Error("sandbox side door failed", "path", r.URL.Path, "err", err)
			}
			send(w, status, header, encoded)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			writeError(w, notFound("the side door has no %s %s", r.Method, r.URL.Path))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Sandbox) controlLedger(r *http.Request, _ []byte) (answer, error) {
	var after int64
	if v := r.URL.Query().Get("after"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return answer{}, invalidRequest("after", "%q is not a number", v)
		}
		after = n
	}
	return ok(map[string]any{"entries": s.ledgerAfter(after)})
}

func (s *Sandbox) controlFaults(_ *http.Request, body []byte) (answer, error) {
	var in struct {
		Rules []Rule `json:"rules"`
	}
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	if err := s.SetFaults(in.Rules); err != nil {
		return answer{}, invalidRequest("rules", "%v", err)
	}
	return ok(map[string]any{"rules": s.Faults()})
}

func (s *Sandbox) controlOpenGate(_ *http.Request, body []byte) (answer, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	if err := s.OpenGate(in.Name); err != nil {
		return answer{}, notFound("%v", err)
	}
	return ok(map[string]any{"gates": s.Gates()})
}

func (s *Sandbox) controlAccept(_ *http.Request, body []byte) (answer, error) {
	var in struct {
		Email string `json:"email"`
	}
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	return s.acceptByMail(in.Email)
}

func (s *Sandbox) controlEdit(_ *http.Request, body []byte) (answer, error) {
	var in Edit
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	a, err := s.edit(in)
	if err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"account": a})
}

func (s *Sandbox) controlAccount(_ *http.Request, body []byte) (answer, error) {
	var in NewAccount
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	a, err := s.addAccount(in)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, a}, nil
}

func (s *Sandbox) controlIDToken(_ *http.Request, body []byte) (answer, error) {
	var in Identity
	if err := decodeJSON(body, &in); err != nil {
		return answer{}, err
	}
	if _, known := s.catalogue.identityProvider(in.ProviderID); !known || in.Subject == "" {
		return answer{}, invalidField("identity_provider_id", "an id token needs a known identity provider and a subject")
	}
	return ok(map[string]any{"id_token": s.IDToken(in)})
}

func (s *Sandbox) controlRevokeTokens(*http.Request, []byte) (answer, error) {
	s.RevokeTokens()
	return ok(struct{}{})
}

func (s *Sandbox) controlReset(*http.Request, []byte) (answer, error) {
	if err := s.Reset(); err != nil {
		return answer{}, errors.Join(errors.New("reset"), err)
	}
	return ok(struct{}{})
}
