package subscription

import "context"

// endsWithHandler is "true" in the build that reconstructs Dapr 1.18.5; the linker sets it.
var endsWithHandler string

// inboundContext returns the context in which a message is delivered and retried: the handler's
// own as of Dapr 1.18.5 (dapr/dapr#10497), and one that never ends before it.
func inboundContext(handler context.Context) context.Context {
	if endsWithHandler == "true" {
		return handler
	}
	return context.Background()
}
