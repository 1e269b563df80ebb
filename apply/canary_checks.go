package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	// askTime bounds one question of a check, askSize what is read of an answer.
	askTime = 5 * time.Second
	askSize = 1 << 20
	// mostCanaryPods bounds the pods of a canary.
	mostCanaryPods = 2000
)

// checker looks at the checks of a canary.
type checker struct {
	k      *Canaries
	client *http.Client
	silent map[int]time.Time // since when a check has had no answer
	read   map[string]*logCount
}

func newChecker(k *Canaries) *checker {
	return &checker{k: k, silent: map[int]time.Time{}, read: map[string]*logCount{}, client: &http.Client{
		Timeout:       askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what a check says: it passed, it failed, or nobody knows.
type answer struct {
	passed, failed bool
	says           string
}

func (a answer) state() string {
	switch {
	case a.passed:
		return "passes"
	case a.failed:
		return "fails"
	}
	return "no answer"
}

// look asks all checks once. pending names one that has no answer; one that fails, or
// has had none for too long, is *CanaryFailed.
func (c *checker) look(ctx context.Context) (pending string, err error) {
	err = c.each(ctx, func(i int, a answer) error {
		if a.passed {
			delete(c.silent, i)
			return nil
		}
		if c.silent[i].IsZero() {
			c.silent[i] = time.Now()
		}
		if a.failed || time.Since(c.silent[i]) > unanswered {
			return c.failed(a)
		}
		pending = a.says
		return nil
	})
	return pending, err
}

// fails is *CanaryFailed where a check fails by now; what has no answer is asked again.
func (c *checker) fails(ctx context.Context) error {
	err := c.each(ctx, func(_ int, a answer) error {
		if a.failed {
			return c.failed(a)
		}
		return nil
	})
	if failed := (*CanaryFailed)(nil); errors.As(err, &failed) {
		return failed
	}
	return nil
}

func (c *checker) failed(a answer) *CanaryFailed {
	return &CanaryFailed{App: c.k.State.App, Step: c.k.State.Step + 1, Why: "check failed: " + a.says}
}

// each asks all checks once.
func (c *checker) each(ctx context.Context, judge func(i int, a answer) error) error {
	pods, err := c.pods(ctx)
	if err != nil {
		return err
	}
	for i, check := range c.k.Unit.Canary.Checks {
		a := c.ask(ctx, check, pods)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := judge(i, a); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) ask(ctx context.Context, check schema.CanaryCheck, pods []corev1.Pod) answer {
	switch {
	case check.Restarts != nil:
		return restarts(*check.Restarts, pods)
	case check.Log != "":
		return c.logs(ctx, check, pods)
	case check.URL != "":
		return c.get(ctx, check)
	}
	return c.query(ctx, check)
}

// pods are those of the canary that are not going.
func (c *checker) pods(ctx context.Context) ([]corev1.Pod, error) {
	var all []corev1.Pod
	for _, o := range c.k.Environment.Unit(c.k.State.App).Objects {
		name := o.GetLabels()[canary.Label]
		if name == "" || o.GetKind() != "Deployment" {
			continue
		}
		from := c.k.c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(o.GetNamespace())
		err := kube.Each(ctx, from, metav1.ListOptions{LabelSelector: canary.Label + "=" + name}, func(live *unstructured.Unstructured) (bool, error) {
			live.SetManagedFields(nil)
			live.SetAnnotations(nil)
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &pod); err != nil {
				return false, fmt.Errorf("%s: %w", schema.RefOf(live), err)
			}
			if pod.DeletionTimestamp == nil {
				all = append(all, pod)
			}
			if len(all) > mostCanaryPods {
				return false, fmt.Errorf("there are more than %d: look for pods of others with its label", mostCanaryPods)
			}
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("pods of %s: %w", schema.RefOf(o.Unstructured), err)
		}
	}
	return all, nil
}

func restarts(most int, pods []corev1.Pod) answer {
	n := 0
	for i := range pods {
		for _, list := range [][]corev1.ContainerStatus{pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses} {
			for _, s := range list {
				n += int(s.RestartCount)
			}
		}
	}
	says := fmt.Sprintf("restarts: %d, at most %d", n, most)
	return answer{passed: n <= most, failed: n > most, says: says}
}

// logs counts the lines of the canary's logs with a text.
func (c *checker) logs(ctx context.Context, check schema.CanaryCheck, pods []corev1.Pod) answer {
	most := 0.0
	if check.Max != nil {
		most = *check.Max
	}
	n := 0
	for i := range pods {
		for _, container := range pods[i].Spec.Containers {
			found, err := c.lines(ctx, &pods[i], container.Name, check.Log)
			if err != nil {
				return answer{says: fmt.Sprintf("log %q: %v", check.Log, err)}
			}
			n += found
		}
	}
	says := fmt.Sprintf("log %q: %s, at most %s", check.Log, count(n, "line"), decimal(most))
	return answer{passed: float64(n) <= most, failed: float64(n) > most, says: says}
}

// get asks a URL.
func (c *checker) get(ctx context.Context, check schema.CanaryCheck) answer {
	shown := withoutSecrets(check.URL)
	resp, err := c.fetch(ctx, check.URL)
	if err != nil {
		return answer{says: fmt.Sprintf("url %s: %v", shown, err)}
	}
	_ = resp.Body.Close()
	says := fmt.Sprintf("url %s: %d, expected %d", shown, resp.StatusCode, check.Expect)
	return answer{passed: resp.StatusCode == check.Expect, failed: resp.StatusCode != check.Expect, says: says}
}

func (c *checker) fetch(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	req.Header.Set("User-Agent", schema.Manager)
	resp, err := c.client.Do(req)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return nil, e.Err // its text has the URL
	}
	return resp, err
}

// withoutSecrets is a URL without the user and the query.
func withoutSecrets(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// query asks Prometheus. Every value of the answer must be within the bounds; none at
// all is no answer.
func (c *checker) query(ctx context.Context, check schema.CanaryCheck) answer {
	none := func(why string) answer { return answer{says: fmt.Sprintf("promql %s: %s", check.PromQL, why)} }
	target := strings.TrimSuffix(c.k.Unit.Canary.Prometheus, "/") + "/api/v1/query?" + url.Values{"query": {check.PromQL}}.Encode()
	resp, err := c.fetch(ctx, target)
	if err != nil {
		return none(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, askSize))
	if err != nil {
		return none(err.Error())
	}
	values, err := samples(body)
	if err != nil {
		return none(fmt.Sprintf("Prometheus answers %s: %v", resp.Status, err))
	}
	if len(values) == 0 {
		return none(`no value (where that is good: "or vector(0)")`)
	}
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			return none("not a number")
		case check.Max != nil && v > *check.Max:
			return answer{failed: true, says: fmt.Sprintf("promql %s: %s, at most %s", check.PromQL, decimal(v), decimal(*check.Max))}
		case check.Min != nil && v < *check.Min:
			return answer{failed: true, says: fmt.Sprintf("promql %s: %s, at least %s", check.PromQL, decimal(v), decimal(*check.Min))}
		}
	}
	return answer{passed: true, says: fmt.Sprintf("promql %s: %s", check.PromQL, decimal(values[0]))}
}

// samples are the values of an instant query: prometheus.io, "HTTP API".
func samples(body []byte) ([]float64, error) {
	var reply struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			ResultType string          `json:"resultType"`
			Result     json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, errors.New("no JSON")
	}
	if reply.Status != "success" {
		return nil, fmt.Errorf("%.200s", reply.Error)
	}
	type sample [2]any // a time, and the value as text
	var all []sample
	switch reply.Data.ResultType {
	case "scalar":
		var one sample
		if err := json.Unmarshal(reply.Data.Result, &one); err != nil {
			return nil, err
		}
		all = []sample{one}
	case "vector":
		var series []struct {
			Value sample `json:"value"`
		}
		if err := json.Unmarshal(reply.Data.Result, &series); err != nil {
			return nil, err
		}
		for _, s := range series {
			all = append(all, s.Value)
		}
	default:
		return nil, fmt.Errorf("the result is a %.40q, not a vector or scalar", reply.Data.ResultType)
	}
	values := make([]float64, len(all))
	for i, s := range all {
		text, _ := s[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not a number", text)
		}
		values[i] = v
	}
	return values, nil
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
