package way

import (
	"github.com/seed-428f4edd/evenkeel/internal/words"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Kind says what a hop is. Its text is what people read.
type Kind string

// The kinds of hops, in the order of the way.
const (
	DNS          Kind = "DNS"
	VIP          Kind = "VIP"
	Edge         Kind = "edge"
	LoadBalancer Kind = "load balancer"
	Controller   Kind = "controller"
	Route        Kind = "route"
	Middleware   Kind = "middleware"
	Service      Kind = "service"
	Policy       Kind = "network policy"
	Pods         Kind = "pods"
	App          Kind = "app"
	Registry     Kind = "registry"
	Provider     Kind = "provider"
	External     Kind = "outside"
	APIServer    Kind = "API server"
	Redirect     Kind = "redirect"
)

// Place is what decides something, and where that stands in the source.
type Place struct {
	Environment string `json:"environment,omitempty"`
	Unit        string `json:"unit,omitempty"`
	// Object is Kind/namespace/name, Key its key among the objects of the unit.
	Object string `json:"object,omitempty"`
	Key    string `json:"key,omitempty"`
	// Field is below the object, below the unit where there is none, and below the
	// environment where there is no unit either.
	Field string `json:"field,omitempty"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`

	path   typed.Path
	object *object
}

// Path is Field, step by step.
func (p Place) Path() typed.Path { return p.path }

// Hop is one step of a way.
type Hop struct {
	Kind Kind `json:"kind"`
	// Name is who takes the request here, Says what happens to it.
	Name string `json:"name"`
	Says string `json:"says"`
	// By is what decides that.
	By Place `json:"by"`
	// Share tells ways apart where one forks: "90 of 100 requests".
	Share string `json:"share,omitempty"`
	// Break is why the request goes no further, or not as it should.
	Break *Break `json:"break,omitempty"`
	// Notes deserve a look and stop nothing.
	Notes []string `json:"notes,omitempty"`
	// Live is what the cluster says, where it was asked.
	Live *Live `json:"live,omitempty"`
	// Port is the port of the pods that the request arrives at.
	Port int `json:"-"`
	// Calls is the depth of a hop behind the app: 1 is what the app calls, 2 what
	// that calls.
	Calls int `json:"calls,omitempty"`

	service *object // of a hop of kind Service
	pods    []*pods // of a hop of kind Pods
}

// Break is why a request would not arrive.
type Break struct {
	Reason string `json:"reason"`
	// Fix is what to change.
	Fix string `json:"fix,omitempty"`
	// Named says that a rule of the checks reports it already.
	Named bool `json:"-"`
}

// Way is how one request travels.
type Way struct {
	URL  string `json:"url"`
	Hops []Hop  `json:"hops"`
	// App is who answers, empty where nobody of the cluster's environments does.
	App *AppRef `json:"app,omitempty"`
	// Rewritten is the path that the app sees, where it is another one.
	Rewritten string `json:"rewritten,omitempty"`
	// TLS is where the encryption ends: "edge", "load balancer", "controller" or "".
	TLS string `json:"tls,omitempty"`
	// Certificate is what clients are shown there, as far as the source says: the file on
	// the edge hosts, or Secret/namespace/name.
	Certificate string `json:"certificate,omitempty"`
	// Broken says that the request would not arrive, or not be answered in full.
	Broken bool `json:"broken"`
	// Probe is the answer to a request that was really sent.
	Probe *Probe `json:"probe,omitempty"`

	route *router // that was chosen
	words words.Words
}

// AppRef is an app or stack of an environment.
type AppRef struct {
	Environment string `json:"environment"`
	Unit        string `json:"unit"`
	Type        string `json:"type"`
	Pods        int    `json:"pods"`
	PodsMax     int    `json:"podsMax,omitempty"` // where an autoscaler counts
}

// Breaks are the hops that the request does not pass.
func (w *Way) Breaks() []Hop {
	var broken []Hop
	for _, h := range w.Hops {
		if h.Break != nil {
			broken = append(broken, h)
		}
	}
	return broken
}

// Providers are the hops of what the app calls, directly or not.
func (w *Way) Providers() []string {
	var names []string
	for _, h := range w.Hops {
		if h.Calls > 0 && h.Kind == Provider {
			names = append(names, h.Name)
		}
	}
	return names
}
