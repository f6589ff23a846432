package deploy

import (
	"path"
	"strings"
	"testing"

	components "github.com/dapr/dapr/pkg/apis/components/v1alpha1"
	subscriptions "github.com/dapr/dapr/pkg/apis/subscriptions/v2alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/yaml"
)

// object is one of what kustomize built.
type object struct {
	kind, name, namespace string
	text                  []byte
	// pod of a workload, else nil.
	pod *corev1.PodTemplateSpec
}

// into decodes it.
func (o object) into(t *testing.T, value any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(o.text, value); err != nil {
		t.Fatalf("%s %s: %v", o.kind, o.name, err)
	}
}

// builds are all that `kubectl apply -k` takes in deploy/: each folder with a Kustomization, and the
// overlays of the Todo app once for each Component.
func builds(t *testing.T) map[string][]object {
	t.Helper()
	found := map[string][]object{}
	for _, file := range files(t, []string{"deploy"}, "kustomization.yaml") {
		folder := path.Dir(file)
		if !strings.Contains(string(read(t, file)), "\nkind: Kustomization\n") {
			continue
		}
		if way := path.Base(folder); path.Dir(folder) == "deploy/todo" && way != "base" {
			for _, broker := range brokers {
				found[folder+" with "+broker] = objects(t, todo(t, copied(t), way, broker))
			}
			continue
		}
		found[folder] = objects(t, build(t, copied(t), folder))
	}
	return found
}

// everything that is applied for one broker and one way, with the cluster's own.
func everything(t *testing.T, way, broker string) []object {
	t.Helper()
	all := objects(t, todo(t, copied(t), way, broker))
	folders := map[string][]string{
		"redpanda":  {"deploy/topics"},
		"plaintext": {"deploy/topics-plaintext", "deploy/brokers/kafka"},
		"strimzi":   {"deploy/brokers/strimzi"},
	}
	for _, folder := range folders[broker] {
		all = append(all, objects(t, build(t, copied(t), folder))...)
	}
	return all
}

// objects are what was built, each decoded strictly.
func objects(t *testing.T, built resmap.ResMap) (found []object) {
	t.Helper()
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := resource.GetApiVersion() + " " + resource.GetKind()
		if err := decode(document{text: text, kind: kind}); err != nil {
			t.Errorf("%s %s: %v", kind, resource.GetName(), err)
		}
		found = append(found, object{resource.GetKind(), resource.GetName(), resource.GetNamespace(), text, podOf(t, text)})
	}
	return found
}

// of one kind.
func of(all []object, kind string) (found []object) {
	for _, object := range all {
		if object.kind == kind {
			found = append(found, object)
		}
	}
	return found
}

// componentOf is the one Dapr Component among them.
func componentOf(t *testing.T, all []object) components.Component {
	t.Helper()
	var component components.Component
	found := of(all, "Component")
	if len(found) != 1 {
		t.Fatalf("%d Components, not one", len(found))
	}
	found[0].into(t, &component)
	return component
}

// subscribed are the Subscriptions among them.
func subscribed(t *testing.T, all []object) (found []subscriptions.Subscription) {
	t.Helper()
	for _, object := range of(all, "Subscription") {
		var subscription subscriptions.Subscription
		object.into(t, &subscription)
		found = append(found, subscription)
	}
	return found
}

// metadata is a Component's value of that name; empty if there is none or it is looked up.
func metadata(component components.Component, name string) string {
	for _, item := range component.Spec.Metadata {
		if item.Name == name {
			return item.Value.String()
		}
	}
	return ""
}
