package schema

import "time"

// Canary is how a new version of a unit comes in: a few pods of it first, beside
// those of the old one.
type Canary struct {
	Steps  []CanaryStep
	Checks []CanaryCheck
	// Prometheus is the URL that PromQL asks, Every how often all checks are looked at.
	Prometheus string
	Every      time.Duration
	// Weight is how many calls a pod of the canary takes where one of the app takes a
	// hundred; zero: as many. Env has the registry know it, Routes share out by it.
	Weight int
	Env    []CanaryEnv
	Routes []CanaryRoute
}

// CanaryEnv is a variable that a container has in the canary alone: with Append, Value
// stands behind the value that it has in the app.
type CanaryEnv struct {
	Deployment, Container string
	Name, Value           string
	Append                bool
}

// CanaryRoute is an object of the unit that leads to pods of a Deployment by way of a
// Service, and can lead to two Services by weights: a route of the Gateway API, or an
// Ingress beside which Traefik reads an IngressRoute. Label tells the Service its pods.
type CanaryRoute struct {
	Deployment, Service, Label string
	Kind, Name                 string
}

// CanaryStep is how many pods of the new version there are: Pods, or where that is
// zero, Percent of those of the app. Hold is how long they are watched, with Manual
// until somebody says so.
type CanaryStep struct {
	Pods, Percent int
	Hold          time.Duration
	Manual        bool
}

// CanaryCheck must hold as long as the canary is there. Exactly one of PromQL, URL,
// Log and Restarts is set.
type CanaryCheck struct {
	PromQL   string
	URL      string
	Expect   int // the status of URL
	Log      string
	Restarts *int
	Max, Min *float64
}
