package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The program by which the image makes a node's configuration from its variables (apache/kafka 4.1.1,
// docker/resources/common-scripts/run and docker/jvm/launch) takes those of the StatefulSet: it makes
// a configuration of keys that Kafka knows, and formats a store by it. Kafka's jars are those that
// the other tests use: `make deploy-test` fetches them.
func TestKafkaTakesItsVariables(t *testing.T) {
	var set appsv1.StatefulSet
	of(objects(t, build(t, copied(t), "deploy/brokers/kafka")), "StatefulSet")[0].into(t, &set)
	node := set.Spec.Template.Spec.Containers[0]
	properties, knows := configured(t, node, t.TempDir())
	for _, line := range strings.Split(strings.TrimSpace(properties), "\n") {
		if key, _, _ := strings.Cut(line, "="); !knows[key] {
			t.Errorf("Kafka does not know %s", line)
		}
	}
	for _, line := range []string{
		"node.id=2", "advertised.listeners=PLAINTEXT://kafka-2.kafka.kafka.svc.cluster.local:9092",
		"auto.create.topics.enable=false", "min.insync.replicas=2", "default.replication.factor=3",
	} {
		if !strings.Contains(properties, line+"\n") {
			t.Errorf("no %s in\n%s", line, properties)
		}
	}
	// A variable that is mistyped is a key that Kafka does not know.
	node.Env = append(node.Env, corev1.EnvVar{Name: "KAFKA_MIN_INSYNC_REPLICA", Value: "2"})
	if properties, _ := configured(t, node, t.TempDir()); !strings.Contains(properties, "min.insync.replica=2") || knows["min.insync.replica"] {
		t.Error("a mistyped variable is not noticed")
	}
}

// configured is the configuration that node 2 makes of its variables, and the keys that Kafka knows.
func configured(t *testing.T, node corev1.Container, folder string) (properties string, knows map[string]bool) {
	t.Helper()
	store := filepath.Join(folder, "store")
	environment := map[string]string{}
	for _, env := range node.Env {
		value := env.Value
		if env.ValueFrom != nil {
			value = map[string]string{
				"metadata.name": "kafka-2", "metadata.labels['apps.kubernetes.io/pod-index']": "2",
			}[env.ValueFrom.FieldRef.FieldPath]
		}
		for name, known := range environment {
			value = strings.ReplaceAll(value, "$("+name+")", known)
		}
		environment[env.Name] = value
	}
	if logs := environment["KAFKA_LOG_DIRS"]; filepath.Dir(logs) != mountOf(node, "data") {
		t.Errorf("the store %s is no folder of the volume at %s", logs, mountOf(node, "data"))
	}
	environment["KAFKA_LOG_DIRS"] = store
	command := exec.Command("java", "-cp", filepath.Join(root, "target/kafka/*"), "kafka.docker.KafkaDockerWrapper", "setup",
		"--default-configs-dir", folder, "--mounted-configs-dir", folder, "--final-configs-dir", folder)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v (are Kafka's jars in target/kafka? make kafka)\n%s", err, said)
	}
	knows = map[string]bool{}
	for _, key := range regexp.MustCompile(`(?m)^\t([a-z.]+) = `).FindAllSubmatch(said, -1) {
		knows[string(key[1])] = true
	}
	if meta, err := os.ReadFile(filepath.Join(store, "meta.properties")); err != nil || !bytes.Contains(meta, []byte("cluster.id="+environment["CLUSTER_ID"])) {
		t.Errorf("the store was not formatted: %v %s", err, meta)
	}
	made, err := os.ReadFile(filepath.Join(folder, "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	return string(made) + "\n", knows
}

func mountOf(container corev1.Container, volume string) string {
	for _, mount := range container.VolumeMounts {
		if mount.Name == volume {
			return mount.MountPath
		}
	}
	return ""
}

// The JMX exporter's file has its fields, and rules that are regular expressions; the node starts it
// at the port that the Service of metrics has, with the file where it is mounted.
func TestTheExporterIsConfigured(t *testing.T) {
	var exporter struct {
		LowercaseOutputName       bool     `json:"lowercaseOutputName"`
		LowercaseOutputLabelNames bool     `json:"lowercaseOutputLabelNames"`
		IncludeObjectNames        []string `json:"includeObjectNames"`
		Rules                     []struct {
			Pattern string            `json:"pattern"`
			Name    string            `json:"name"`
			Type    string            `json:"type"`
			Labels  map[string]string `json:"labels"`
		} `json:"rules"`
	}
	if err := yaml.UnmarshalStrict(read(t, "deploy/brokers/kafka/jmx.yaml"), &exporter); err != nil {
		t.Fatal(err)
	}
	for _, rule := range exporter.Rules {
		pattern, err := regexp.Compile(rule.Pattern)
		if err != nil {
			t.Errorf("%s: %v", rule.Pattern, err)
			continue
		}
		used := regexp.MustCompile(`\$[0-9]`).FindAllString(rule.Name+asJSON(rule.Labels), -1)
		if len(used) != pattern.NumSubexp() {
			t.Errorf("%s has %d groups, of which %v are used", rule.Pattern, pattern.NumSubexp(), used)
		}
	}
	var set appsv1.StatefulSet
	of(objects(t, build(t, copied(t), "deploy/brokers/kafka")), "StatefulSet")[0].into(t, &set)
	node := set.Spec.Template.Spec.Containers[0]
	agent := "-javaagent:" + mountOf(node, "jmx") + "/agent.jar=9404:" + mountOf(node, "jmx-config") + "/jmx.yaml"
	if !strings.Contains(strings.Join(node.Command, " "), agent) || node.Ports[2].ContainerPort != 9404 {
		t.Errorf("no %s in %q", agent, node.Command)
	}
}
