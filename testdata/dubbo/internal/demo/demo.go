// Package demo is what the provider and the consumer have in common: who they
// are, how they are made to misbehave, their health and their end.
//
// Both read Dubbo's configuration from DUBBO_GO_CONFIG_PATH, as evenkeel renders
// it, and these variables:
//
//	DEMO_VERSION   the version that answers name, over the one built in
//	DEMO_BROKEN    crash: exits at once; unready: never ready;
//	               error: every call fails; slow: every call takes 2 s
//	HTTP_ADDR      where HTTP is served
//	POD_NAME       the name in answers; the host's name without it
package demo

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"dubbo.apache.org/dubbo-go/v3/config"

	// what dubbo.apache.org/dubbo-go/v3/imports would bring, without the clouds
	_ "dubbo.apache.org/dubbo-go/v3/cluster/cluster/failover"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/loadbalance/random"
	_ "dubbo.apache.org/dubbo-go/v3/cluster/router/tag"
	_ "dubbo.apache.org/dubbo-go/v3/filter/accesslog"
	_ "dubbo.apache.org/dubbo-go/v3/filter/echo"
	_ "dubbo.apache.org/dubbo-go/v3/filter/exec_limit"
	_ "dubbo.apache.org/dubbo-go/v3/filter/generic"
	_ "dubbo.apache.org/dubbo-go/v3/filter/graceful_shutdown"
	_ "dubbo.apache.org/dubbo-go/v3/filter/token"
	_ "dubbo.apache.org/dubbo-go/v3/filter/tps"
	_ "dubbo.apache.org/dubbo-go/v3/filter/tps/limiter"
	_ "dubbo.apache.org/dubbo-go/v3/filter/tps/strategy"
	_ "dubbo.apache.org/dubbo-go/v3/metadata/mapping/metadata"
	_ "dubbo.apache.org/dubbo-go/v3/metadata/report/zookeeper"
	_ "dubbo.apache.org/dubbo-go/v3/protocol/dubbo"
	_ "dubbo.apache.org/dubbo-go/v3/proxy/proxy_factory"
	_ "dubbo.apache.org/dubbo-go/v3/registry/directory"
	_ "dubbo.apache.org/dubbo-go/v3/registry/protocol"
	_ "dubbo.apache.org/dubbo-go/v3/registry/zookeeper"
)

// Version is set by the linker: -ldflags "-X .../internal/demo.Version=v2".
var Version = "v1"

// Who tells which process answers.
type Who struct {
	App         string `json:"app"`
	Environment string `json:"environment"` // the group in the registry
	Version     string `json:"version"`
	Pod         string `json:"pod"`
}

// Self is this process. Its environment is the group that it registers under.
func Self() Who {
	root := config.GetRootConfig()
	who := Who{App: root.Application.Name, Version: or(os.Getenv("DEMO_VERSION"), Version), Pod: os.Getenv("POD_NAME")}
	for _, registry := range root.Registries {
		who.Environment = registry.Group
	}
	if who.Pod == "" {
		who.Pod, _ = os.Hostname()
	}
	return who
}

// Start applies DEMO_BROKEN=crash and starts Dubbo from its configuration file.
func Start() {
	if os.Getenv("DEMO_BROKEN") == "crash" {
		log.Fatal("demo: told to crash")
	}
	if err := config.Load(); err != nil {
		log.Fatalf("demo: %v", err)
	}
}

// Misbehave delays or fails a call, as DEMO_BROKEN says.
func Misbehave() error {
	switch os.Getenv("DEMO_BROKEN") {
	case "error":
		return fmt.Errorf("told to fail")
	case "slow":
		time.Sleep(2 * time.Second)
	}
	return nil
}

// Serve serves HTTP with /live and /ready until SIGTERM, then lets the running
// requests end. Dubbo has a handler of its own for the signal: it takes the
// addresses out of the registry, waits for running calls and ends the process.
func Serve(defaultAddr string, mux *http.ServeMux) {
	var ready atomic.Bool
	ready.Store(os.Getenv("DEMO_BROKEN") != "unready")
	mux.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "true") })
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, ready.Load())
	})
	ln, err := net.Listen("tcp", or(os.Getenv("HTTP_ADDR"), defaultAddr))
	if err != nil {
		log.Fatalf("demo: %v", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		if err := server.Serve(ln); err != http.ErrServerClosed {
			log.Fatalf("demo: %v", err)
		}
	}()
	fmt.Printf("demo: serving HTTP on %s\n", ln.Addr())
	<-ctx.Done()
	ready.Store(false)
	if err := server.Shutdown(context.Background()); err != nil {
		log.Printf("demo: %v", err)
	}
	select {} // until Dubbo ends the process
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
