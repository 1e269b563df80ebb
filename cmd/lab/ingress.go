package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// ingress stands in for Traefik where that was not built: it routes by the hosts of
// Ingresses to the ready endpoints of their Services, and knows nothing else. It
// reads the cluster with the ServiceAccount that Traefik's pods have.
type ingress struct {
	api    *http.Client
	mu     sync.RWMutex
	routes map[string]string              // host -> namespace/service
	slices map[string]map[string][]string // namespace/service -> slice -> address:port
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func serveIngress(ctx context.Context) error {
	ca, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	in := &ingress{
		api:    &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		routes: map[string]string{}, slices: map[string]map[string][]string{},
	}
	go in.follow(ctx, "/apis/networking.k8s.io/v1/ingresses", in.ingressChanged)
	go in.follow(ctx, "/apis/discovery.k8s.io/v1/endpointslices", in.sliceChanged)
	ping := http.NewServeMux()
	ping.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	ended := make(chan error, 2)
	for addr, handler := range map[string]http.Handler{":8000": in, ":8080": ping} {
		server := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { ended <- server.ListenAndServe() }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// ServeHTTP passes a request on to a ready endpoint.
func (in *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.RLock()
	var ready []string
	for _, addresses := range in.slices[in.routes[r.Host]] {
		ready = append(ready, addresses...)
	}
	in.mu.RUnlock()
	if len(ready) == 0 {
		http.Error(w, "no ready endpoint for "+r.Host, http.StatusServiceUnavailable)
		return
	}
	target := &url.URL{Scheme: "http", Host: ready[rand.IntN(len(ready))]} //nolint:gosec // a choice, no secret
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}}
	proxy.ServeHTTP(w, r)
}

// follow lists and watches, again and again.
func (in *ingress) follow(ctx context.Context, path string, changed func(kind string, object json.RawMessage)) {
	for ctx.Err() == nil {
		if err := in.watch(ctx, path, changed); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, path+":", err)
		}
		time.Sleep(time.Second)
	}
}

// watch starts with an ADDED for everything that is there.
func (in *ingress) watch(ctx context.Context, path string, changed func(kind string, object json.RawMessage)) error {
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+os.Getenv("KUBERNETES_SERVICE_HOST")+path+"?watch=1&timeoutSeconds=300", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := in.api.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	for events := json.NewDecoder(resp.Body); ; {
		var event struct {
			Type   string
			Object json.RawMessage
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		changed(event.Type, event.Object)
	}
}

func (in *ingress) ingressChanged(kind string, object json.RawMessage) {
	var ing struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			Rules []struct {
				Host string
				HTTP struct {
					Paths []struct {
						Backend struct{ Service struct{ Name string } }
					}
				}
			}
		}
	}
	if json.Unmarshal(object, &ing) != nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, rule := range ing.Spec.Rules {
		delete(in.routes, rule.Host)
		if kind != "DELETED" && len(rule.HTTP.Paths) > 0 {
			in.routes[rule.Host] = ing.Metadata.Namespace + "/" + rule.HTTP.Paths[0].Backend.Service.Name
		}
	}
}

func (in *ingress) sliceChanged(kind string, object json.RawMessage) {
	var slice struct {
		Metadata struct {
			Namespace, Name string
			Labels          map[string]string
		}
		Ports     []struct{ Port int }
		Endpoints []struct {
			Addresses  []string
			Conditions struct{ Ready bool }
		}
	}
	if json.Unmarshal(object, &slice) != nil || len(slice.Ports) == 0 {
		return
	}
	var ready []string
	for _, e := range slice.Endpoints {
		if e.Conditions.Ready && kind != "DELETED" {
			ready = append(ready, fmt.Sprintf("%s:%d", e.Addresses[0], slice.Ports[0].Port))
		}
	}
	key := slice.Metadata.Namespace + "/" + slice.Metadata.Labels["kubernetes.io/service-name"]
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.slices[key] == nil {
		in.slices[key] = map[string][]string{}
	}
	in.slices[key][slice.Metadata.Name] = ready
}
