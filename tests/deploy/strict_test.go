package deploy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"testing"

	components "github.com/dapr/dapr/pkg/apis/components/v1alpha1"
	configuration "github.com/dapr/dapr/pkg/apis/configuration/v1alpha1"
	resiliency "github.com/dapr/dapr/pkg/apis/resiliency/v1alpha1"
	subscriptions "github.com/dapr/dapr/pkg/apis/subscriptions/v2alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// types are those of Kubernetes, Dapr and the Prometheus Operator, as their APIs have them.
var types = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetes.AddToScheme, components.AddToScheme, configuration.AddToScheme, resiliency.AddToScheme,
		subscriptions.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// document is one YAML document of a file, or of a block in a page.
type document struct {
	where string
	text  []byte
	// kind is apiVersion and kind, or " " if it has neither.
	kind string
}

// documents splits a YAML file; those without content are left out.
func documents(where string, content []byte) (found []document, err error) {
	reader := yamlreader.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for at := 1; ; at++ {
		text, err := reader.Read()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		var any any
		if err := yaml.UnmarshalStrict(text, &any); err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", where, at, err)
		}
		if any == nil {
			continue
		}
		var head struct{ APIVersion, Kind string }
		_ = yaml.Unmarshal(text, &head)
		found = append(found, document{fmt.Sprintf("%s, document %d", where, at), text, head.APIVersion + " " + head.Kind})
	}
}

// decode a document strictly: a field that its kind does not have is an error, and so is a kind that
// is not known here.
func decode(doc document) error {
	if other, there := others[doc.kind]; there {
		return yaml.UnmarshalStrict(doc.text, other(), yaml.DisallowUnknownFields)
	}
	_, _, err := types.Decode(doc.text, nil, nil)
	return err
}

// others are kinds that are no API's here: kustomize's own files; and those of operators whose Go
// types are not to be had (Strimzi has none, KEDA's bring all of KEDA), for which operators_test.go
// has the fields that are used.
var others = map[string]func() any{
	"kustomize.config.k8s.io/v1beta1 Kustomization": func() any { return &kustomize.Kustomization{} },
	"kustomize.config.k8s.io/v1alpha1 Component":    func() any { return &kustomize.Kustomization{} },
	"kafka.strimzi.io/v1 Kafka":                     func() any { return &kafka{} },
	"kafka.strimzi.io/v1 KafkaNodePool":             func() any { return &kafkaNodePool{} },
	"kafka.strimzi.io/v1 KafkaTopic":                func() any { return &kafkaTopic{} },
	"kafka.strimzi.io/v1 KafkaUser":                 func() any { return &kafkaUser{} },
	"keda.sh/v1alpha1 ScaledObject":                 func() any { return &scaledObject{} },
}

// elsewhere are files that are no manifests, with who reads them strictly.
var elsewhere = map[string]string{
	"components/metadata.yaml":            "src/metadata: the table of keys makes it, and a test compares",
	"deploy/topics/topics.yaml":           "TestTopicsAreTheSameEverywhere here, and dapr-rdkafka topics itself",
	"deploy/brokers/redpanda/values.yaml": "TestValuesOfRedpanda here",
	"deploy/brokers/kafka/jmx.yaml":       "the JMX exporter; its fields are in TestTheExporterIsConfigured",
	"deploy/monitoring/alerts.test.yaml":  "promtool",
	"deploy/monitoring/prometheus.yml":    "promtool",
}

// Every document of deploy/ and components/ has the fields of its kind and no other.
func TestManifestsAreStrictlyOfTheirKind(t *testing.T) {
	seen := 0
	for _, path := range files(t, []string{"deploy", "components"}, ".yaml", ".yml") {
		if elsewhere[path] != "" {
			continue
		}
		found, err := documents(path, read(t, path))
		if err != nil {
			t.Error(err)
		}
		for _, doc := range found {
			seen++
			if err := decode(doc); err != nil {
				t.Errorf("%s: %v", doc.where, err)
			}
		}
	}
	t.Logf("%d documents", seen)
}

// A field that is mistyped is noticed, whatever the kind.
func TestWhatIsMistypedIsNoticed(t *testing.T) {
	for _, path := range files(t, []string{"deploy", "components"}, ".yaml") {
		if elsewhere[path] != "" {
			continue
		}
		found, err := documents(path, read(t, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range found {
			doc.text = append(bytes.TrimRight(doc.text, "\n"), []byte("\nmistyped: 1\n")...)
			if decode(doc) == nil {
				t.Errorf("%s: a field that is not there is taken", doc.where)
			}
		}
	}
}
