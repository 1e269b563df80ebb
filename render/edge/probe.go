package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Answer is what an edge host, or whoever holds the VIP, said when it was asked.
type Answer struct {
	// Host is the name of the edge host, empty for the VIP.
	Host    string `json:"host,omitempty"`
	Address string `json:"address"`
	Ports   []int  `json:"ports"`
	// Holder is the host that answered at the VIP.
	Holder string `json:"holder,omitempty"`
	// Problem is empty where nginx answered on all ports.
	Problem string `json:"problem,omitempty"`
}

// String is the answer in a line.
func (a Answer) String() string {
	who := fmt.Sprintf("edge %s (%s)", a.Host, a.Address)
	if a.Host == "" {
		who = "edge VIP " + a.Address
	}
	if a.Problem != "" {
		return who + ": " + a.Problem
	}
	text := fmt.Sprintf("%s: nginx answers on %s", who, portList(a.Ports))
	if a.Holder != "" {
		text += ", held by " + a.Holder
	}
	return text
}

// Probe asks every edge host and the VIP, all at once, what keepalived's check asks
// on the hosts: does nginx answer on its ports. The hosts come first, by name. An
// address that says nothing for Check.TimeoutSeconds does not answer.
func Probe(ctx context.Context, c Config) []Answer {
	var answers []Answer
	for _, name := range c.hostNames() {
		answers = append(answers, Answer{Host: name, Address: c.Hosts[name].Address, Ports: c.servedPorts()})
	}
	answers = append(answers, Answer{Address: c.VIP, Ports: c.servedPorts()})
	var asked sync.WaitGroup
	for i := range answers {
		asked.Go(func() { answers[i].ask(ctx, c) })
	}
	asked.Wait()
	return answers
}

// ask fills in who answered, or the problem.
func (a *Answer) ask(ctx context.Context, c Config) {
	limit := time.Duration(c.Check.TimeoutSeconds) * time.Second
	failures := map[string][]int{} // ports by what went wrong
	var (
		mu    sync.Mutex
		asked sync.WaitGroup
		name  string // that nginx gives
	)
	for _, port := range a.Ports {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			said, err := connect(ctx, net.JoinHostPort(a.Address, strconv.Itoa(port)), port == portHTTP)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures[cause(err, limit)] = append(failures[cause(err, limit)], port)
			} else if said != "" {
				name = said
			}
		})
	}
	asked.Wait()
	_, known := c.Hosts[name]
	switch {
	case len(failures) > 0:
		a.Problem = problem(failures)
	case a.Host != "" && name != a.Host:
		a.Problem = fmt.Sprintf("answers as %q: another host, or another nginx configuration than evenkeel edge writes", name)
	case !known:
		a.Problem = fmt.Sprintf("%q answers, which is not an edge host", name)
	case a.Host == "":
		a.Holder = name
	}
}

// connect connects and, on the port of HTTP, asks for the name of the host.
func connect(ctx context.Context, addr string, ask bool) (name string, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil || !ask {
		if err == nil {
			err = conn.Close()
		}
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // which closes conn
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+healthHost+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256))
	return strings.TrimSpace(string(body)), err
}

// cause is an error in the words of a user, with %s for the ports.
func cause(err error, limit time.Duration) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno != syscall.ECONNREFUSED {
		return "the host does not answer on %s: " + errno.Error() // no route to host
	} else if ok {
		return "nginx does not answer on %s: " + errno.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("no answer on %%s within %s", limit)
	}
	return "nginx does not answer on %s: " + err.Error()
}

// problem puts the causes side by side, each with its ports.
func problem(failures map[string][]int) string {
	var parts []string
	for why, ports := range failures {
		parts = append(parts, strings.Replace(why, "%s", portList(ports), 1))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

func portList(ports []int) string {
	words := make([]string, len(ports))
	for i, port := range slices.Sorted(slices.Values(ports)) {
		words[i] = strconv.Itoa(port)
	}
	return strings.Join(words, ", ")
}
