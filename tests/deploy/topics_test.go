package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// events are the topics of examples/todo.
var events = []string{
	"recurring-task-due", "task-completed", "task-created", "task-deleted", "task-due-soon", "task-updated",
}

// topicsFile is what `dapr-rdkafka topics` reads (docs/topics.md).
type topicsFile struct {
	Defaults topicSettings `json:"defaults"`
	Topics   []struct {
		Name          string `json:"name"`
		topicSettings `json:",inline"`
	} `json:"topics"`
}

type topicSettings struct {
	Partitions  int            `json:"partitions"`
	Replication int            `json:"replication"`
	MinInSync   int            `json:"minInSync"`
	Retention   string         `json:"retention"`
	Compaction  any            `json:"compaction"`
	Config      map[string]any `json:"config"`
	DeadLetter  *deadLetter    `json:"deadLetter"`
}

// deadLetter is true, false, or settings of its own.
type deadLetter struct {
	Name          string `json:"name"`
	topicSettings `json:",inline"`
}

func (d *deadLetter) UnmarshalJSON(text []byte) error {
	var simply bool
	if json.Unmarshal(text, &simply) == nil {
		return nil
	}
	type plain deadLetter
	return yaml.UnmarshalStrict(text, (*plain)(d))
}

// topicsIn reads such a file.
func topicsIn(text []byte) (file topicsFile, err error) {
	if err = yaml.UnmarshalStrict(text, &file); err == nil && len(file.Topics) == 0 {
		err = errors.New("no topics")
	}
	return file, err
}

// wanted topics, in the words of Kafka.
func wanted(t *testing.T) map[string]string {
	t.Helper()
	file, err := topicsIn(read(t, "deploy/topics/topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	days := map[string]int{"1d": 1, "7d": 7, "30d": 30}
	for _, topic := range file.Topics {
		all, own, letters := file.Defaults, topic.topicSettings, file.Defaults.DeadLetter
		retention := own.Retention
		if retention == "" {
			retention = all.Retention
		}
		if days[retention] == 0 || days[letters.Retention] == 0 {
			t.Fatalf("%s: this test does not know the retention %q or %q", topic.Name, retention, letters.Retention)
		}
		if own.Partitions+own.Replication+own.MinInSync != 0 || own.DeadLetter != nil {
			t.Fatalf("%s: this test knows an own retention only", topic.Name)
		}
		found[topic.Name] = settings(all.Partitions, all.Replication, all.MinInSync, days[retention], "")
		found[topic.Name+".dlq"] = settings(all.Partitions, all.Replication, all.MinInSync, days[letters.Retention], "LogAppendTime")
	}
	return found
}

func settings(partitions, replicas, inSync, days int, timestamps string) string {
	return fmt.Sprintf("%d partitions, %d replicas, %d in sync, %d ms, timestamps %q",
		partitions, replicas, inSync, days*24*60*60*1000, timestamps)
}

// The six topics of the app and their dead-letter topics are the same in topics.yaml, for Strimzi,
// in the Subscriptions and in the Components.
func TestTopicsAreTheSameEverywhere(t *testing.T) {
	wanted := wanted(t)
	if names := slices.Sorted(maps.Keys(wanted)); len(names) != 12 || !slices.Equal(events, undead(names)) {
		t.Errorf("deploy/topics/topics.yaml makes %v", names)
	}
	strimzi := map[string]string{}
	for _, object := range of(objects(t, build(t, copied(t), "deploy/brokers/strimzi")), "KafkaTopic") {
		var topic kafkaTopic
		object.into(t, &topic)
		number := func(key string) int { value, _ := topic.Spec.Config[key].(float64); return int(value) }
		timestamps, _ := topic.Spec.Config["message.timestamp.type"].(string)
		strimzi[topic.Name] = settings(topic.Spec.Partitions, topic.Spec.Replicas, number("min.insync.replicas"),
			number("retention.ms")/(24*60*60*1000), timestamps)
	}
	for name := range wanted {
		if wanted[name] != strimzi[name] {
			t.Errorf("%s: %s in topics.yaml, %q in brokers/strimzi/topics.yaml", name, wanted[name], strimzi[name])
		}
	}
	if len(strimzi) != len(wanted) {
		t.Errorf("brokers/strimzi/topics.yaml has %d topics, topics.yaml %d", len(strimzi), len(wanted))
	}
	for _, broker := range brokers {
		all := objects(t, todo(t, copied(t), "native", broker))
		if letters := metadata(componentOf(t, all), "deadLetterTopic"); letters != "{topic}.dlq" {
			t.Errorf("%s: deadLetterTopic is %q", broker, letters)
		}
		for _, subscription := range subscribed(t, all) {
			if letters := subscription.Spec.Metadata["deadLetterTopic"]; letters != "" && wanted[letters] == "" {
				t.Errorf("Subscription %s: nobody makes its dead-letter topic %s", subscription.Name, letters)
			}
		}
	}
}

// The Job completes where topics are left as they are, is not run again when its command line is
// wrong, and ends soon; the plan is the same Job and changes nothing.
func TestTheJobOfTopicsEndsAsItShould(t *testing.T) {
	for folder, action := range map[string]string{
		"deploy/topics": "apply", "deploy/topics-plaintext": "apply", "deploy/topics-plan": "plan",
	} {
		var job batchv1.Job
		of(objects(t, build(t, copied(t), folder)), "Job")[0].into(t, &job)
		pod, runs := job.Spec.Template.Spec, job.Spec.Template.Spec.Containers[0]
		if runs.Args[1] != action || !slices.Contains(runs.Args, "--differences-ok") {
			t.Errorf("%s runs %v", folder, runs.Args)
		}
		if pod.RestartPolicy != corev1.RestartPolicyNever || *job.Spec.BackoffLimit > 2 || *job.Spec.ActiveDeadlineSeconds > 300 {
			t.Errorf("%s: it does not fail fast", folder)
		}
		if runs.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
			t.Errorf("%s: the pod's status does not say why it failed", folder)
		}
		policy := job.Spec.PodFailurePolicy
		if policy == nil || len(policy.Rules) != 1 || policy.Rules[0].Action != batchv1.PodFailurePolicyActionFailJob ||
			*policy.Rules[0].OnExitCodes.ContainerName != runs.Name || !slices.Equal(policy.Rules[0].OnExitCodes.Values, []int32{2}) {
			t.Errorf("%s: a wrong command line is run again", folder)
		}
		for _, volume := range pod.Volumes {
			if suffixed := strings.HasSuffix(volume.ConfigMap.Name, "-plan"); suffixed != (action == "plan") {
				t.Errorf("%s: its ConfigMap is %s", folder, volume.ConfigMap.Name)
			}
		}
	}
}

// undead leaves the dead-letter topics out.
func undead(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasSuffix(name, ".dlq") })
}
