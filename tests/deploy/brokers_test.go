package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// values is what deploy/brokers/redpanda/values.yaml uses of the chart's: made by hand, since the
// chart is no Go module that can be had everywhere. README.md beside it says what the file was
// compared with.
type values struct {
	Statefulset struct {
		Replicas int `json:"replicas"`
	} `json:"statefulset"`
	TLS struct {
		Enabled bool `json:"enabled"`
		Certs   map[string]struct {
			CAEnabled bool `json:"caEnabled"`
		} `json:"certs"`
	} `json:"tls"`
	Auth struct {
		SASL struct {
			Enabled   bool     `json:"enabled"`
			Mechanism string   `json:"mechanism"`
			SecretRef string   `json:"secretRef"`
			Users     []string `json:"users"`
		} `json:"sasl"`
	} `json:"auth"`
	Listeners struct {
		Kafka struct {
			Port int `json:"port"`
			TLS  struct {
				Cert              string `json:"cert"`
				RequireClientAuth bool   `json:"requireClientAuth"`
			} `json:"tls"`
		} `json:"kafka"`
	} `json:"listeners"`
	External struct {
		Enabled bool `json:"enabled"`
	} `json:"external"`
	Storage struct {
		PersistentVolume struct {
			Enabled bool   `json:"enabled"`
			Size    string `json:"size"`
		} `json:"persistentVolume"`
	} `json:"storage"`
	Config struct {
		Cluster struct {
			AutoCreate     bool  `json:"auto_create_topics_enabled"`
			Replications   int   `json:"default_topic_replications"`
			RetentionMilli int64 `json:"log_retention_ms"`
		} `json:"cluster"`
	} `json:"config"`
}

// The values and the Component say the same of Redpanda.
func TestValuesOfRedpanda(t *testing.T) {
	var values values
	if err := yaml.UnmarshalStrict(read(t, "deploy/brokers/redpanda/values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for n := range values.Statefulset.Replicas {
		addresses = append(addresses, fmt.Sprintf("redpanda-%d.redpanda.redpanda-system.svc.cluster.local:%d", n, values.Listeners.Kafka.Port))
	}
	addressed(t, "redpanda", addresses)
	component := componentOf(t, objects(t, todo(t, copied(t), "native", "redpanda")))
	mechanism := "SCRAM-" + metadata(component, "saslMechanism")
	if sasl := values.Auth.SASL; !sasl.Enabled || sasl.Mechanism != mechanism || metadata(component, "authType") != "password" {
		t.Errorf("the brokers have SASL %t with %s, the Component %s", sasl.Enabled, sasl.Mechanism, mechanism)
	}
	if secrets := documentedSecrets(t); !slices.Contains(secrets[values.Auth.SASL.SecretRef], "users.txt") {
		t.Errorf("no page makes the Secret %s", values.Auth.SASL.SecretRef)
	}
	if !values.TLS.Enabled || metadata(component, "disableTls") != "" || metadata(component, "skipVerify") != "" {
		t.Error("TLS is off, or nothing is verified")
	}
	if _, there := values.TLS.Certs[values.Listeners.Kafka.TLS.Cert]; !there || values.Config.Cluster.AutoCreate {
		t.Error("the listener's certificate is not there, or topics make themselves")
	}
}

// addressed: the Component, and the Job's if there is one, name these brokers.
func addressed(t *testing.T, broker string, addresses []string) {
	t.Helper()
	for _, path := range map[string][]string{
		"redpanda":  {"deploy/components/redpanda.yaml", "deploy/topics/component.yaml"},
		"plaintext": {"deploy/components/plaintext.yaml", "deploy/topics-plaintext/component.yaml"},
		"strimzi":   {"deploy/components/strimzi.yaml"},
	}[broker] {
		if text := `value: "` + strings.Join(addresses, ",") + `"`; !strings.Contains(string(read(t, path)), text) {
			t.Errorf("%s does not have %s", path, text)
		}
	}
}

// The StatefulSet, its Service and the Component say the same of Apache Kafka.
func TestNamesOfKafka(t *testing.T) {
	all := objects(t, build(t, copied(t), "deploy/brokers/kafka"))
	var set appsv1.StatefulSet
	of(all, "StatefulSet")[0].into(t, &set)
	service := of(all, "Service")[0]
	if set.Spec.ServiceName != service.name || service.namespace != set.Namespace {
		t.Errorf("serviceName %s, the Service is %s in %s", set.Spec.ServiceName, service.name, service.namespace)
	}
	ports := portsOf(t, all, set.Spec.Selector)
	var addresses, voters []string
	for n := range *set.Spec.Replicas {
		host := fmt.Sprintf("%s-%d.%s.%s.svc.cluster.local", set.Name, n, service.name, service.namespace)
		addresses = append(addresses, fmt.Sprintf("%s:%d", host, ports["clients"]))
		voters = append(voters, fmt.Sprintf("%d@%s:%d", n, host, ports["controllers"]))
	}
	addressed(t, "plaintext", addresses)
	nodes := set.Spec.Template.Spec.Containers[0]
	if is, _ := variable(&nodes, "KAFKA_CONTROLLER_QUORUM_VOTERS"); is != strings.Join(voters, ",") {
		t.Errorf("voters %s, not %s", is, strings.Join(voters, ","))
	}
	if set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement || *set.Spec.Template.Spec.EnableServiceLinks {
		t.Error("nodes wait for each other, or Services become settings")
	}
}

// Strimzi's Kafka and the Component say the same, and the user may do what the component does.
func TestNamesOfStrimzi(t *testing.T) {
	all := objects(t, build(t, copied(t), "deploy/brokers/strimzi"))
	var cluster kafka
	of(all, "Kafka")[0].into(t, &cluster)
	listener := cluster.Spec.Kafka.Listeners[0]
	addressed(t, "strimzi", []string{fmt.Sprintf("%s-kafka-bootstrap.%s.svc.cluster.local:%d", cluster.Name, cluster.Namespace, listener.Port)})
	for _, object := range all {
		if label := fmt.Sprintf("strimzi.io/cluster: %s\n", cluster.Name); object.kind != "Kafka" && !strings.Contains(string(object.text), label) {
			t.Errorf("%s %s is not of the cluster %s", object.kind, object.name, cluster.Name)
		}
	}
	var user kafkaUser
	of(all, "KafkaUser")[0].into(t, &user)
	if !listener.TLS || listener.Authentication.Type != user.Spec.Authentication.Type {
		t.Errorf("the listener takes %s, the user has %s", listener.Authentication.Type, user.Spec.Authentication.Type)
	}
	for topic := range wanted(t) {
		for _, operation := range []string{"Read", "Write"} {
			if !allowed(user.Spec.Authorization.ACLs, "topic", topic, operation) {
				t.Errorf("the user may not %s %s", operation, topic)
			}
		}
	}
	// The runbook's redrive and purge.
	for topic := range wanted(t) {
		if is := allowed(user.Spec.Authorization.ACLs, "topic", topic, "Delete"); is != strings.HasSuffix(topic, ".dlq") {
			t.Errorf("whether the user may delete records of %s: %t", topic, is)
		}
	}
	for _, operation := range []string{"Create", "Read", "Write"} {
		if !allowed(user.Spec.Authorization.ACLs, "topic", "dapr-rdkafka-redrives", operation) {
			t.Errorf("the user may not %s dapr-rdkafka-redrives", operation)
		}
	}
	for _, group := range []string{"todo", "dapr-rdkafka-redrive.task-created.dlq"} {
		if !allowed(user.Spec.Authorization.ACLs, "group", group, "Read") || allowed(user.Spec.Authorization.ACLs, "group", "another", "Read") {
			t.Errorf("the user may not use the group %s, or any", group)
		}
	}
}

// allowed by a rule for exactly this name, or for names that begin so.
func allowed(rules []acl, kind, name, operation string) bool {
	return slices.ContainsFunc(rules, func(rule acl) bool {
		fits := rule.Resource.Name == name || rule.Resource.PatternType == "prefix" && strings.HasPrefix(name, rule.Resource.Name)
		return rule.Resource.Type == kind && fits && slices.Contains(rule.Operations, operation)
	})
}
