package bridge

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/scim/server"
	"github.com/sharearefund/scim-bridge/upstream"
)

// metrics are what /metrics shows. Every label has a bounded number of values:
// slugs of tenants, patterns of routes, classes of status, names of operations
// and outcomes; never an id, a name or an address.
type metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	tolerated      *prometheus.CounterVec
	panics         prometheus.Counter

	upstreamCalls   *prometheus.CounterVec
	upstreamSeconds *prometheus.HistogramVec
	invited         *prometheus.CounterVec
	inviteBatches   *prometheus.CounterVec

	cacheOps      *prometheus.CounterVec
	eventsDropped prometheus.Counter
	// requestsDropped counts rows of the log of requests.
	requestsDropped prometheus.Counter

	dependencyUp   *prometheus.GaugeVec
	directoryAge   *prometheus.GaugeVec
	directoryFresh *prometheus.GaugeVec
	roleWork       *prometheus.GaugeVec
	findings       *prometheus.GaugeVec
}

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scim_bridge_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "scim_bridge_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "scim_bridge_" + name, Help: help,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25},
		}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("requests_total", "SCIM requests answered; tenant is empty for those that were not authenticated.", "tenant", "method", "route", "status")
	m.requestSeconds = histogram("request_duration_seconds", "Time from the end of a SCIM request's headers to its answer.", "method", "route")
	m.tolerated = counter("tolerated_total", "Departures from the RFCs that were tolerated, by the name of the tolerance.", "tenant", "tolerance")
	m.panics = counter("panics_total", "Requests that were answered 500 because of a defect of the bridge.").WithLabelValues()
	m.upstreamCalls = counter("upstream_calls_total", "Attempts of calls to Share A Refund; status is none when no answer came.", "tenant", "operation", "status")
	m.upstreamSeconds = histogram("upstream_call_duration_seconds", "Time of an attempt of a call to Share A Refund.", "operation")
	m.invited = counter("invited_people_total", "People who were sent to Share A Refund in bulk invites.", "tenant")
	m.inviteBatches = counter("invite_batches_total", "Bulk invites.", "tenant")
	m.cacheOps = counter("cache_operations_total", "Operations on the shared cache, by outcome.", "operation", "outcome")
	m.eventsDropped = counter("events_dropped_total", "Events of failed requests that could not be kept; those of changes are never dropped.").WithLabelValues()
	m.requestsDropped = counter("request_log_dropped_total", "Requests that could not be kept in the log of requests.").WithLabelValues()
	m.dependencyUp = gauge("dependency_up", "1 while a dependency works.", "dependency")
	m.directoryAge = gauge("directory_age_seconds", "Time since a tenant's directory was last read whole; absent before the first time.", "tenant")
	m.directoryFresh = gauge("directory_fresh", "1 while lists are answered from a tenant's directory, 0 while they are 503.", "tenant")
	m.roleWork = gauge("role_work", "People whose roles have yet to be put right at Share A Refund; a removal was not acknowledged to its client.", "tenant", "kind")
	m.findings = gauge("findings", "People, groups and other things that an administrator should look at, by what was found of them; see tenant show.", "tenant", "code", "severity")
	info := gauge("build_info", "1; the labels say what runs.", "version", "go_version")
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

func (m *metrics) request(r server.Request) {
	m.requests.WithLabelValues(r.Tenant, r.Method, r.Route, statusClass(r.Status)).Inc()
	m.requestSeconds.WithLabelValues(r.Method, r.Route).Observe(r.Duration.Seconds())
	for _, n := range r.Notes {
		if n.Tolerance != "" {
			m.tolerated.WithLabelValues(r.Tenant, n.Tolerance).Inc()
		}
	}
	if r.Panicked {
		m.panics.Inc()
	}
}

func (m *metrics) upstreamCall(tenant string, c upstream.Call) {
	status := "none"
	if c.Status != 0 {
		status = statusClass(c.Status)
	}
	m.upstreamCalls.WithLabelValues(tenant, c.Operation, status).Inc()
	m.upstreamSeconds.WithLabelValues(c.Operation).Observe(c.Duration.Seconds())
}

func (m *metrics) batch(tenant string, b upstream.Batch) {
	m.invited.WithLabelValues(tenant).Add(float64(b.People))
	m.inviteBatches.WithLabelValues(tenant).Inc()
}

func (m *metrics) cacheOp(op cache.Op, outcome cache.Outcome, _ time.Duration) {
	m.cacheOps.WithLabelValues(string(op), string(outcome)).Inc()
}

// statusClass keeps the statuses apart that operators tell apart, and joins
// the others: "2xx", "401", "429".
func statusClass(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
		http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return strconv.Itoa(status)
	}
	if status < 100 || status > 599 {
		return "other"
	}
	return strconv.Itoa(status/100) + "xx"
}
