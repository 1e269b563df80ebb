// Package nacos_test shows what a client of Nacos makes of the weight that a canary gives
// itself (render/weigh.go). The client is nacos-sdk-go; the server is a few lines that
// speak its protocol.
package nacos_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"slices"
	"sync"
	"testing"

	protocol "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

var scratch string // where the client keeps its log and its cache, also once it is closed

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nacos")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	for os.RemoveAll(dir) != nil { // it writes while its files go
	}
	os.Exit(code)
}

// registry is a server of Nacos with one service.
type registry struct {
	mu    sync.Mutex
	hosts []model.Instance
}

func (r *registry) service() model.Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return model.Service{Name: "shop", GroupName: constant.DEFAULT_GROUP, CacheMillis: 10000, Hosts: slices.Clone(r.hosts)}
}

// Request answers a question.
func (r *registry) Request(_ context.Context, asked *protocol.Payload) (*protocol.Payload, error) {
	reply := map[string]any{"resultCode": constant.RESPONSE_CODE_SUCCESS, "success": true}
	kind := asked.GetMetadata().GetType()
	switch kind {
	case "ServerCheckRequest":
		reply["connectionId"] = "one"
	case "InstanceRequest":
		var request struct{ Instance model.Instance }
		if err := json.Unmarshal(asked.GetBody().GetValue(), &request); err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.hosts = slices.DeleteFunc(r.hosts, func(host model.Instance) bool { return host.Port == request.Instance.Port }) // a client says it again
		r.hosts = append(r.hosts, request.Instance)
		r.mu.Unlock()
	case "SubscribeServiceRequest", "ServiceQueryRequest":
		reply["serviceInfo"] = r.service()
	}
	body, err := json.Marshal(reply)
	answer := map[string]string{"ServiceQueryRequest": "QueryServiceResponse"}[kind]
	if answer == "" {
		answer = kind[:len(kind)-len("Request")] + "Response"
	}
	return &protocol.Payload{Metadata: &protocol.Metadata{Type: answer}, Body: &anypb.Any{Value: body}}, err
}

// RequestBiStream keeps a connection.
func (r *registry) RequestBiStream(stream protocol.BiRequestStream_RequestBiStreamServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
	}
}

// client is nacos-sdk-go at the registry.
func client(t *testing.T, r *registry) naming_client.INamingClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	protocol.RegisterRequestServer(server, r)
	protocol.RegisterBiRequestStreamServer(server, r)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	port := uint64(listener.Addr().(*net.TCPAddr).Port)
	c, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig:  constant.NewClientConfig(constant.WithTimeoutMs(5000), constant.WithNotLoadCacheAtStart(true), constant.WithLogDir(scratch), constant.WithCacheDir(scratch), constant.WithLogLevel("error")),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig("127.0.0.1", port-constant.RpcPortOffset, constant.WithGrpcPort(port))},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseClient)
	return c
}

// TestWeight holds how many of 10,000 calls come to a canary beside two pods of the app,
// which have the weight 1.
func TestWeight(t *testing.T) {
	const calls = 10000
	for _, tt := range []struct {
		weight      float64
		least, most int
	}{
		{1, calls/3 - 300, calls/3 + 300}, // no weight: the share of its pods
		{0.1, 0, 0},                       // weight: 10 of a canary; Go counts whole numbers
		{0.5, 0, 0},
		{0.99, 0, 0},
	} {
		r := &registry{}
		c := client(t, r)
		for port, weight := range map[uint64]float64{1: 1, 2: 1, 3: tt.weight} {
			ok, err := c.RegisterInstance(vo.RegisterInstanceParam{Ip: "10.0.0.1", Port: port, ServiceName: "shop", Weight: weight, Enable: true, Healthy: true, Ephemeral: true})
			if err != nil || !ok {
				t.Fatalf("%v, %v", ok, err)
			}
		}
		known := 0.0
		for _, host := range r.service().Hosts {
			if host.Port == 3 {
				known = host.Weight
			}
		}
		if known != tt.weight {
			t.Fatalf("the registry knows the weight %v of %v", known, tt.weight)
		}
		canary := 0
		for range calls {
			chosen, err := c.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{ServiceName: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			if chosen.Port == 3 {
				canary++
			}
		}
		t.Logf("weight %v: %d of %d calls", tt.weight, canary, calls)
		if canary < tt.least || canary > tt.most {
			t.Errorf("weight %v: %d of %d calls, want %d to %d", tt.weight, canary, calls, tt.least, tt.most)
		}
	}
}
