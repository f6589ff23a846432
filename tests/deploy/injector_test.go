package deploy

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/yaml"

	components "github.com/dapr/dapr/pkg/apis/components/v1alpha1"
	"github.com/dapr/dapr/pkg/injector/annotations"
	"github.com/dapr/dapr/pkg/injector/patcher"
)

// workload is what the injector works from: a pod's template, and the Components that are in the
// pod's namespace at that time.
type workload struct {
	way        string
	pod        corev1.PodTemplateSpec
	components []components.Component
	// nativeDaprd is whether Dapr's chart has dapr_sidecar_injector.nativeSidecar.
	nativeDaprd bool
}

// read from what kustomize built.
func workloadOf(t *testing.T, way string, built resmap.ResMap) workload {
	t.Helper()
	found := workload{way: way}
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		switch resource.GetKind() {
		case "Deployment", "StatefulSet":
			found.pod = *podOf(t, text)
			found.pod.Namespace = resource.GetNamespace()
		case "Component":
			var component components.Component
			strictly(t, text, &component)
			found.components = append(found.components, component)
		}
	}
	if len(found.pod.Spec.Containers) == 0 || len(found.components) != 1 {
		t.Fatalf("%s: want a workload and one Component", way)
	}
	return found
}

func strictly(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// copied, so that a test can change it.
func (w workload) copied() workload {
	changed := workload{way: w.way, pod: *w.pod.DeepCopy(), nativeDaprd: w.nativeDaprd}
	for _, component := range w.components {
		changed.components = append(changed.components, *component.DeepCopy())
	}
	return changed
}

// injected is the pod as kubelet gets it: what the API server adds before webhooks are asked, then
// Dapr's own injector with the defaults of Dapr's Helm chart (dapr/dapr v1.18.3,
// pkg/injector/service/pod_patch.go and charts/dapr/charts/dapr_sidecar_injector/values.yaml).
func (w workload) injected() (*corev1.Pod, error) {
	pod := &corev1.Pod{ObjectMeta: *w.pod.ObjectMeta.DeepCopy(), Spec: *w.pod.Spec.DeepCopy()}
	pod.Name = "todo-0"
	mountServiceAccount(pod)

	config := patcher.NewSidecarConfig(pod)
	config.GetInjectedComponentContainers = func(appID, _ string) ([]corev1.Container, error) {
		return patcher.Injectable(appID, w.components), nil
	}
	config.Namespace = pod.Namespace
	config.MTLSEnabled = true
	config.SidecarImage = "ghcr.io/dapr/daprd:1.18.3"
	config.RunAsNonRoot = true
	config.ReadOnlyRootFilesystem = true
	config.CurrentTrustAnchors = []byte("anchors")
	config.ControlPlaneNamespace = "dapr-system"
	config.ControlPlaneTrustDomain = "cluster.local"
	config.SentrySPIFFEID = "spiffe://cluster.local/ns/dapr-system/dapr-sentry"
	config.KubeClusterDomain = "cluster.local"
	config.SchedulerEnabled = true
	config.EnableNativeSidecar = w.nativeDaprd
	config.SetFromPodAnnotations()
	patch, err := config.GetPatch()
	if err != nil {
		return nil, err
	}
	return patcher.PatchPod(pod, patch)
}

// mountServiceAccount does what the API server's ServiceAccount admission does before webhooks.
func mountServiceAccount(pod *corev1.Pod) {
	if mount := pod.Spec.AutomountServiceAccountToken; mount != nil && !*mount {
		return
	}
	const name = "kube-api-access-x7k2p"
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name:         name,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}},
	})
	mount := corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			containers[i].VolumeMounts = append(containers[i].VolumeMounts, mount)
		}
	}
}

// annotated is the container of the way `injector`, decoded strictly: Dapr's injector leaves out
// without a word what it does not know.
func annotated(component components.Component) (container corev1.Container, err error) {
	text := component.Annotations[annotations.KeyPluggableComponentContainer]
	if !json.Valid([]byte(text)) {
		// The YAML decoder would take what is no JSON, and the injector does not.
		return container, json.Unmarshal([]byte(text), &container)
	}
	return container, yaml.UnmarshalStrict([]byte(text), &container)
}
