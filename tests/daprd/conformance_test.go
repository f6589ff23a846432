// Package conformance runs Dapr's own conformance tests for pub/sub components through the client with
// which daprd talks to a pluggable component. docs/conformance.md shows the results.
package conformance

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/dapr/components-contrib/pubsub"
	conformance "github.com/dapr/components-contrib/tests/conformance/pubsub"
	client "github.com/dapr/dapr/pkg/components/pubsub"
	runtime "github.com/dapr/dapr/pkg/runtime/pubsub"
	"github.com/dapr/kit/logger"
)

// suite is the module with Dapr's tests, and its version. The build sets it.
var suite string

// The environment names the component's socket, the metadata for Init, and the configuration that
// tests/config/pubsub/tests.yml of components-contrib would give, the latter two in JSON.
func TestConformance(t *testing.T) {
	t.Log("suite:", suite)
	properties, values := map[string]string{}, map[string]any{}
	decode(t, "CONFORMANCE_PROPERTIES", &properties)
	decode(t, "CONFORMANCE_CONFIG", &values)
	config, err := conformance.NewTestConfig("rdkafka", []string{"bulkpublish", "bulksubscribe"}, values)
	if err != nil {
		t.Fatal(err)
	}
	socket := client.NewGRPCPubSub(logger.NewLogger("conformance"), os.Getenv("CONFORMANCE_SOCKET"))
	conformance.ConformanceTests(t, properties, daprd{socket, runtime.NewDefaultBulkSubscriber(socket)}, config)
}

// decode reads a variable that holds JSON.
func decode(t *testing.T, variable string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(os.Getenv(variable)), into); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
}

// daprd is a pluggable component as daprd sees it: the protocol has no bulk subscriptions, so daprd
// collects batches from an ordinary one (pkg/runtime/subscription in dapr/dapr).
type daprd struct {
	pluggable
	pubsub.BulkSubscriber
}

// pluggable is what the client of a pluggable component can do.
type pluggable interface {
	pubsub.PubSub
	pubsub.BulkPublisher
	Ping() error
}

// Init names the component, as daprd does.
func (d daprd) Init(ctx context.Context, metadata pubsub.Metadata) error {
	metadata.Name = "conformance"
	return d.pluggable.Init(ctx, metadata)
}

// Ping has the signature that the suite looks for. Without it the suite accepts that there is no ping.
func (d daprd) Ping(context.Context) error {
	return d.pluggable.Ping()
}
