package rest

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of requests, by route as it stands in the documents: never by path, which holds ids.
type metrics struct {
	took  *prometheus.HistogramVec
	total *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "heyi_http_request_seconds", Help: "Duration of REST requests, long polls included.",
			Buckets: []float64{0.005, 0.02, 0.1, 0.5, 2, 30},
		}, []string{"method", "route"}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heyi_http_requests_total", Help: "REST requests by class of their status: 2xx, 4xx, 5xx.",
		}, []string{"method", "route", "status"}),
	}
	if reg != nil {
		reg.MustRegister(m.took, m.total)
	}
	return m
}

func (m *metrics) answered(method, route string, status int, took time.Duration) {
	switch method {
	case fiber.MethodGet, fiber.MethodPost, fiber.MethodPut:
	default:
		method = "other" // a closed set, so that strangers make no new series
	}
	m.took.WithLabelValues(method, route).Observe(took.Seconds())
	m.total.WithLabelValues(method, route, strconv.Itoa(status/100)+"xx").Inc()
}
