package deploy

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	subscriptions "github.com/dapr/dapr/pkg/apis/subscriptions/v2alpha1"
)

// Subscriptions name the Component, the app and its routes; lanes are lanes of one topic.
func TestSubscriptionsFitTheApp(t *testing.T) {
	for _, way := range ways {
		all := objects(t, todo(t, copied(t), way, "redpanda"))
		component, found := componentOf(t, all), subscribed(t, all)
		app := of(all, "Deployment")[0].pod.Annotations["dapr.io/app-id"]
		for _, problem := range misfits(found, component.Name, app) {
			t.Errorf("%s: %s", way, problem)
		}
		if !slices.Equal(component.Scopes, []string{app}) {
			t.Errorf("%s: the Component is for %v, the app is %s", way, component.Scopes, app)
		}
		if component.Spec.Type != "pubsub.rdkafka" {
			t.Errorf("%s: type %s: with the injector daprd would take its built-in at the first start", way, component.Spec.Type)
		}
	}
}

func misfits(found []subscriptions.Subscription, component, app string) (problems []string) {
	lanes := map[string][]string{}
	metadata := map[string]map[string]string{}
	for _, subscription := range found {
		spec := subscription.Spec
		topic, lane := spec.Topic, ""
		if at := strings.IndexAny(spec.Topic, "~#"); at >= 0 {
			topic, lane = spec.Topic[:at], spec.Topic[at:]
		}
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("Subscription "+subscription.Name+": "+format, args...))
		}
		if spec.Pubsubname != component {
			problem("pubsubname %s, the Component is %s", spec.Pubsubname, component)
		}
		if !slices.Equal(subscription.Scopes, []string{app}) {
			problem("scopes %v, the app is %s", subscription.Scopes, app)
		}
		// The app's routes are /events/{topic}; what stands behind a # never reaches it.
		if route, err := url.Parse(spec.Routes.Default); err != nil || route.Fragment != "" || spec.Routes.Default != "/events/"+topic {
			problem("route %q, the app has /events/%s", spec.Routes.Default, topic)
		}
		if len(lane) == 1 {
			problem("a lane without a name")
		}
		if spec.BulkSubscribe.Enabled || spec.DeadLetterTopic != "" {
			problem("bulk subscribe and daprd's own dead letters are not for lanes")
		}
		lanes[topic] = append(lanes[topic], lane)
		if before, there := metadata[topic]; there && !maps.Equal(before, spec.Metadata) {
			problem("another metadata than the topic's other lanes: the component refuses it")
		}
		metadata[topic] = spec.Metadata
	}
	if topics := slices.Sorted(maps.Keys(lanes)); !slices.Equal(topics, events) {
		problems = append(problems, fmt.Sprintf("topics %v, the app has %v", topics, events))
	}
	for topic, lanes := range lanes {
		if slices.Sort(lanes); len(slices.Compact(lanes)) != len(lanes) || !slices.Contains(lanes, "") {
			problems = append(problems, fmt.Sprintf("lanes of %s: %q", topic, lanes))
		}
	}
	return problems
}

// Each way not to fit is noticed.
func TestWhatDoesNotFitIsNoticed(t *testing.T) {
	fits := func() []subscriptions.Subscription {
		return subscribed(t, objects(t, todo(t, copied(t), "native", "redpanda")))
	}
	for problem, breaks := range map[string]func(*subscriptions.Subscription){
		"pubsubname":       func(s *subscriptions.Subscription) { s.Spec.Pubsubname = "pubsub" },
		"scopes":           func(s *subscriptions.Subscription) { s.Scopes = nil },
		"route":            func(s *subscriptions.Subscription) { s.Spec.Routes.Default = "/events/" + s.Spec.Topic + "#1" },
		"topics":           func(s *subscriptions.Subscription) { s.Spec.Topic = "task-create" },
		"another metadata": func(s *subscriptions.Subscription) { s.Spec.Metadata = map[string]string{"rawPayload": "true"} },
		"lanes of":         func(s *subscriptions.Subscription) { s.Spec.Topic += "~1" },
		"bulk":             func(s *subscriptions.Subscription) { s.Spec.BulkSubscribe.Enabled = true },
	} {
		broken := fits()
		breaks(&broken[0])
		if found := strings.Join(misfits(broken, "todo-pubsub", "todo"), "\n"); !strings.Contains(found, problem) {
			t.Errorf("%s: found %q", problem, found)
		}
	}
}

// What daprd asks for at its start is there before daprd: above all the Component from which the
// injector takes the container.
func TestWhatDaprdReadsIsAppliedFirst(t *testing.T) {
	for _, way := range ways {
		var kinds []string
		for _, object := range objects(t, todo(t, copied(t), way, "redpanda")) {
			kinds = append(kinds, object.kind)
		}
		if last := len(kinds) - 1; slices.Index(kinds, "Deployment") != last || kinds[0] != "Component" {
			t.Errorf("%s: applied in the order %v", way, kinds)
		}
	}
}

// The annotation of the way `injector` has nothing that the injector would leave out.
func TestTheInjectorsContainerIsStrict(t *testing.T) {
	component := componentOf(t, objects(t, todo(t, copied(t), "injector", "redpanda")))
	container, err := annotated(component)
	if err != nil {
		t.Error(err)
	}
	if !pinned(container.Image) || container.Name == "" {
		t.Errorf("name %q, image %q", container.Name, container.Image)
	}
	const key = "dapr.io/component-container"
	component.Annotations[key] = strings.Replace(component.Annotations[key], "livenessProbe", "livenesProbe", 1)
	if _, err := annotated(component); err == nil {
		t.Error("a mistyped field is not noticed")
	}
}

// dapr.io/pluggable-components-sockets-folder must never be used, in no manifest and no block: see
// the break `another folder`.
func TestTheSocketsFolderIsNeverAnnotated(t *testing.T) {
	const annotation = "pluggable-components-sockets-folder:"
	for _, path := range append(files(t, []string{"deploy", "components", "docs"}, ".yaml", ".md"), "README.md") {
		if strings.Contains(string(read(t, path)), annotation) {
			t.Errorf("%s uses %s", path, annotation)
		}
	}
}
