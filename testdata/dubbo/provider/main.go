// The provider exports com.od.dubbotest.api.HelloService by Dubbo.
package main

import (
	"context"
	"encoding/json"
	"net/http"

	"dubbo.apache.org/dubbo-go/v3/config"

	"github.com/seed-428f4edd/evenkeel/testdata/dubbo/internal/demo"
)

// Hello is the service; its configuration is provider.services.Hello.
type Hello struct{}

// Reference is the key of the configuration.
func (*Hello) Reference() string { return "Hello" }

// MethodMapper gives the method the name that Java has for it.
func (*Hello) MethodMapper() map[string]string { return map[string]string{"Hello": "hello"} }

// Hello answers who said it, as JSON.
func (*Hello) Hello(_ context.Context, name string) (string, error) {
	if err := demo.Misbehave(); err != nil {
		return "", err
	}
	out, err := json.Marshal(struct {
		Hello string `json:"hello"`
		demo.Who
	}{name, demo.Self()})
	return string(out), err
}

func main() {
	config.SetProviderService(&Hello{})
	demo.Start()
	demo.Serve(":8090", http.NewServeMux())
}
