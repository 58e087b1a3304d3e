package eventline

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"eventline/internal/admin"
)

// askTimeout bounds one request to an admin port.
const askTimeout = 5 * time.Second

// sample is one reading of a daemon's metrics.
type sample struct {
	at       time.Time
	pid      string
	families map[string]*dto.MetricFamily
}

func scrape(ctx context.Context, addr string) (sample, error) {
	body, answer, err := fetch(ctx, "http://"+addr+"/metrics")
	if err != nil {
		return sample{}, err
	}
	if answer.code != http.StatusOK {
		return sample{}, fmt.Errorf("read http://%s/metrics: status %d", addr, answer.code)
	}
	at := time.Now()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		return sample{}, fmt.Errorf("read http://%s/metrics: %w", addr, err)
	}
	return sample{at: at, pid: answer.header.Get(admin.PIDHeader), families: families}, nil
}

// notReady returns what the daemon waits for, "" if nothing.
func notReady(ctx context.Context, addr string) string {
	body, answer, err := fetch(ctx, "http://"+addr+"/readyz")
	switch {
	case err != nil:
		return reason(err)
	case answer.code != http.StatusOK:
		return strings.TrimSpace(body)
	}
	return ""
}

// reply is an answer without its body.
type reply struct {
	code   int
	header http.Header
}

// fetch returns an answer and its body.
func fetch(ctx context.Context, url string) (body string, answer reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", reply{}, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return string(data), reply{resp.StatusCode, resp.Header}, err
}

func (s sample) has(name string) bool { return s.families[name] != nil }

// sum adds the values of all series of a counter or gauge.
func (s sample) sum(name string) float64 {
	var sum float64
	for _, m := range s.families[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
	return sum
}

func (s sample) get(name string) *float64 {
	if !s.has(name) {
		return nil
	}
	v := s.sum(name)
	return &v
}

// numbers returns the values of a label over all series, as numbers in order.
func (s sample) numbers(name, label string) []int {
	var all []int
	for _, m := range s.families[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if n, err := strconv.Atoi(l.GetValue()); err == nil && l.GetName() == label {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (s sample) label(name, label string) string {
	for _, m := range s.families[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				return l.GetValue()
			}
		}
	}
	return ""
}
