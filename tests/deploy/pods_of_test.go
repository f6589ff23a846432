package deploy

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// podOf is a workload's pod template; nil if the text is of another kind.
func podOf(t *testing.T, text []byte) *corev1.PodTemplateSpec {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.Kind {
	case "Deployment":
		var of appsv1.Deployment
		strictly(t, text, &of)
		return &of.Spec.Template
	case "StatefulSet":
		var of appsv1.StatefulSet
		strictly(t, text, &of)
		return &of.Spec.Template
	case "Job":
		var of batchv1.Job
		strictly(t, text, &of)
		return &of.Spec.Template
	}
	return nil
}
