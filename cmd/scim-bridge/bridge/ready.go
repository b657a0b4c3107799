package bridge

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Health is what /readyz answers.
type Health struct {
	// Status is "ready", "degraded" (serves, but slower or older than it
	// should), "unavailable" or "draining".
	Status string `json:"status"`
	// Detail says why the process as a whole is not ready; it may be empty.
	Detail       string            `json:"detail,omitempty"`
	Version      string            `json:"version"`
	Dependencies []DependencyState `json:"dependencies"`
	Directories  []DirectoryState  `json:"directories"`
}

// DependencyState is one thing that the bridge needs.
type DependencyState struct {
	// Name is "store" or "cache"; Kind is what serves it, such as
	// "postgresql" or "memory".
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Status is "ok", "degraded" or "unavailable".
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// DirectoryState is the age of one tenant's directory.
type DirectoryState struct {
	Tenant string `json:"tenant"`
	// Status is "fresh", "stale", "never" or, when the tenant cannot be served
	// at all, "unusable".
	Status string `json:"status"`
	// AgeSeconds is the time since the last complete scan; null before
	// the first one.
	AgeSeconds *int64 `json:"age_seconds"`
	Detail     string `json:"detail,omitempty"`
}

const (
	// healthFor is how long a look at the dependencies is answered from, so
	// that whoever asks often costs the database nothing.
	healthFor = time.Second
	// healthTimeout bounds a look: an orchestrator asks again soon.
	healthTimeout = 2 * time.Second
)

// health looks at the dependencies. It is safe for concurrent use.
type health struct {
	look func(ctx context.Context) Health
	now  func() time.Time

	mu   sync.Mutex
	last Health
	at   time.Time
}

// current looks, unless somebody did a moment ago.
func (h *health) current(ctx context.Context) Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && h.now().Sub(h.at) < healthFor {
		return h.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	h.last, h.at = h.look(ctx), h.now()
	return h.last
}

// lookAround asks every dependency, and sets the gauges that say the same.
func (b *Bridge) lookAround(ctx context.Context) Health {
	h := Health{Status: "ready", Version: b.version, Directories: []DirectoryState{}}
	worst := func(status string) {
		if h.Status != "unavailable" {
			h.Status = status
		}
	}
	store := DependencyState{Name: "store", Kind: b.storeKind, Status: "ok"}
	if err := b.store.Ping(ctx); err != nil {
		b.notice("store", err)
		store.Status, store.Detail = "unavailable", "does not answer: SCIM requests are 503 until it does; the log says why"
		worst("unavailable")
	} else {
		b.notice("store", nil)
	}
	cache := DependencyState{Name: "cache", Kind: b.cacheKind, Status: "ok"}
	if err := b.cache.Ping(ctx); err != nil {
		b.notice("cache", err)
		cache.Status, cache.Detail = "degraded", "does not answer: requests are slower until it does, nothing else; the log says why"
		worst("degraded")
	} else {
		b.notice("cache", nil)
	}
	h.Dependencies = []DependencyState{store, cache}
	if store.Status == "ok" {
		h.Directories = b.directories(ctx)
		for _, d := range h.Directories {
			if d.Status != "fresh" {
				worst("degraded")
			}
		}
	}
	return h
}

// directories is the age of every tenant's directory, or why the tenant cannot
// be served. What cannot be read is
// left out: the store has its own line.
func (b *Bridge) directories(ctx context.Context) []DirectoryState {
	all, err := b.Service.Directories(ctx)
	b.metrics.directoryAge.Reset()
	b.metrics.directoryFresh.Reset()
	b.metrics.roleWork.Reset()
	out := make([]DirectoryState, 0, len(all))
	if err != nil {
		b.log.WarnContext(ctx, "cannot read the age of the directories", "err", err)
		return out
	}
	for _, d := range all {
		s := DirectoryState{Tenant: d.Tenant, Status: "never", Detail: "not read yet: lists are 503 until it is; requests for single people are served"}
		if !d.CompletedAt.IsZero() {
			age := int64(b.now().Sub(d.CompletedAt).Seconds())
			s.AgeSeconds = &age
			s.Status, s.Detail = "stale", "could not be read for two intervals: lists are 503 until it is; the log says why"
			b.metrics.directoryAge.WithLabelValues(d.Tenant).Set(float64(age))
		}
		fresh := 0.
		if d.Fresh {
			s.Status, s.Detail, fresh = "fresh", "", 1
		}
		if d.Unusable != "" {
			s.Status, s.Detail = "unusable", "every request is 503: "+d.Unusable
		}
		b.metrics.directoryFresh.WithLabelValues(d.Tenant).Set(fresh)
		b.metrics.roleWork.WithLabelValues(d.Tenant, "grant").Set(float64(d.Grants))
		b.metrics.roleWork.WithLabelValues(d.Tenant, "removal").Set(float64(d.Removals))
		out = append(out, s)
	}
	return out
}

// notice logs when a dependency begins or ends to fail, once each.
func (b *Bridge) notice(dependency string, err error) {
	up := 1.
	if err != nil {
		up = 0
	}
	b.metrics.dependencyUp.WithLabelValues(dependency).Set(up)
	b.mu.Lock()
	was := b.failing[dependency]
	b.failing[dependency] = err != nil
	b.mu.Unlock()
	switch {
	case err != nil && !was && dependency == "cache":
		b.log.Warn("the cache does not answer: requests are slower until it does; check redis.url and that the server runs", "kind", b.cacheKind, "err", err)
	case err != nil && !was:
		b.log.Error("the store does not answer: SCIM requests are 503 until it does; check store.url and that the server runs", "kind", b.storeKind, "err", err)
	case err == nil && was:
		b.log.Info("the "+dependency+" answers again", "kind", map[string]string{"store": b.storeKind, "cache": b.cacheKind}[dependency])
	}
}

func (b *Bridge) serveHealthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n")) // the client left
}

func (b *Bridge) serveReadyz(w http.ResponseWriter, r *http.Request) {
	h := b.health.current(r.Context())
	if b.draining.Load() {
		h.Status, h.Detail = "draining", "the process was asked to stop: send requests to another one"
	}
	status := http.StatusOK
	if h.Status == "unavailable" || h.Status == "draining" {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	body, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client left
}
