// The consumer answers GET /hello?name=x by a call of
// com.od.dubbotest.api.HelloService.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"dubbo.apache.org/dubbo-go/v3/config"

	"github.com/seed-428f4edd/evenkeel/testdata/dubbo/internal/demo"
)

// Hello is the client; its configuration is consumer.references.Hello.
type Hello struct {
	Hello func(ctx context.Context, name string) (string, error) `dubbo:"hello"`
}

// Reference is the key of the configuration.
func (*Hello) Reference() string { return "Hello" }

func main() {
	hello := &Hello{}
	config.SetConsumerService(hello)
	demo.Start()
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		answer := struct {
			Provider json.RawMessage `json:"provider,omitempty"`
			Consumer demo.Who        `json:"consumer"`
			Error    string          `json:"error,omitempty"`
		}{Consumer: demo.Self()}
		said, err := "", demo.Misbehave()
		if err == nil {
			said, err = hello.Hello(ctx, r.URL.Query().Get("name"))
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			answer.Error = err.Error()
			w.WriteHeader(http.StatusBadGateway)
		} else {
			answer.Provider = json.RawMessage(said)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	demo.Serve(":8080", mux)
}
