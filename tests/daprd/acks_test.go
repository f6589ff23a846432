// Package daprd looks at what the daprd of this module makes of an HTTP app that can't be
// reached, with daprd's own packages. docs/daprd-acks.md says what the component does about it.
//
// Of calls to the app that start at the same moment, daprd loses the failure of some, and so
// acknowledges messages that nobody has seen. The component distrusts acknowledgements while
// the app can't be reached, because of this. When a daprd without the fault comes, the tests
// of it fail here: then the distrust can go, and these tests with it.
package daprd

import (
	"context"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dapr/dapr/pkg/config"
	"github.com/dapr/dapr/pkg/config/protocol"
	"github.com/dapr/dapr/pkg/middleware"
	middlewares "github.com/dapr/dapr/pkg/middleware/http"
	"github.com/dapr/dapr/pkg/runtime/channels"
	"github.com/dapr/dapr/pkg/runtime/compstore"
	"github.com/dapr/dapr/pkg/runtime/pubsub"
	"github.com/dapr/dapr/pkg/runtime/registry"
	"github.com/dapr/dapr/pkg/runtime/subscription/postman"
	"github.com/dapr/dapr/pkg/runtime/subscription/postman/http"
)

// One call at a time: no failure is lost.
func TestCallsOneAfterAnotherFail(t *testing.T) {
	for name, port := range apps(t) {
		app := daprd(t, port, pipeline())
		for call := range 1000 {
			if acknowledged(t, app) {
				t.Fatalf("%s: call %d was acknowledged", name, call)
			}
		}
	}
}

// Two calls of which each has entered the pipeline before either goes on: nobody gets a
// message, and one of the two is acknowledged. Only the moment is brought about here.
func TestOfTwoCallsThatStartTogetherOneIsAcknowledged(t *testing.T) {
	for name, port := range apps(t) {
		var entered atomic.Int32
		both := make(chan struct{})
		inner := pipeline()
		app := daprd(t, port, func(root nethttp.Handler) nethttp.Handler {
			next := inner(root)
			return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
				if entered.Add(1) == 2 {
					close(both)
				}
				select {
				case <-both:
				case <-r.Context().Done():
				}
				next.ServeHTTP(w, r)
			})
		})
		acks := make(chan bool, 2)
		for range 2 {
			go func() { acks <- acknowledged(t, app) }()
		}
		if first, second := <-acks, <-acks; first == second {
			t.Errorf("%s: of two messages one should be acknowledged; for both it is %v. Is the fault gone?", name, first)
		}
	}
}

// It comes about by itself when there are enough calls: about one in a thousand, on one CPU as
// well. One thread would not do, since a call is then hardly ever interrupted at that moment.
func TestItComesAboutByItself(t *testing.T) {
	const callers = 64
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0))))
	app := daprd(t, refusing(t), pipeline())
	began := time.Now()
	var calls sync.WaitGroup
	var made, lost atomic.Int64
	for range callers {
		calls.Add(1)
		go func() {
			defer calls.Done()
			for lost.Load() == 0 && time.Since(began) < time.Minute {
				made.Add(1)
				if acknowledged(t, app) {
					lost.Add(1)
				}
			}
		}()
	}
	calls.Wait()
	t.Logf("%d of %d refused calls acknowledged in %v", lost.Load(), made.Load(), time.Since(began))
	if lost.Load() == 0 {
		t.Error("not one. Is the fault gone?")
	}
}

// acknowledged is whether daprd would acknowledge a message: its postman has no error.
func acknowledged(t *testing.T, app postman.Interface) bool {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return app.Deliver(ctx, &pubsub.SubscribedMessage{
		PubSub: "pubsub", Topic: "topic", Path: "/events", Data: []byte("{}"),
	}) == nil
}

// pipeline is what every call to the app goes through, without any middleware configured.
func pipeline() middleware.HTTP {
	return middlewares.New().BuildPipelineFromSpec("app", nil)
}

// daprd is its way from a subscription to the app, put together as in pkg/runtime/runtime.go.
func daprd(t *testing.T, port int, app middleware.HTTP) postman.Interface {
	t.Helper()
	channels := channels.New(channels.Options{
		Registry:       registry.New(registry.NewOptions()),
		ComponentStore: compstore.New(),
		AppConnectionConfig: config.AppConnectionConfig{
			ChannelAddress: "127.0.0.1", Port: port, Protocol: protocol.HTTPProtocol,
		},
		GlobalConfig:       config.LoadDefaultConfiguration(),
		MaxRequestBodySize: 4 << 20,
		ReadBufferSize:     4 << 10,
		AppMiddleware:      app,
	})
	if err := channels.Refresh(); err != nil {
		t.Fatal(err)
	}
	return http.New(http.Options{Channels: channels})
}

// apps are the ports of one that refuses connections, and of one that dies in each request.
func apps(t *testing.T) map[string]int {
	t.Helper()
	dying := httptest.NewServer(nethttp.HandlerFunc(func(nethttp.ResponseWriter, *nethttp.Request) {
		panic(nethttp.ErrAbortHandler)
	}))
	t.Cleanup(dying.Close)
	_, port, err := net.SplitHostPort(dying.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]int{"refuses": refusing(t), "dies": number}
}

// refusing is a port that refuses connections. It is bound, so that nobody else can listen there.
func refusing(t *testing.T) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*syscall.SockaddrInet4).Port
}
