package deploy

import (
	"slices"
	"strings"
	"testing"

	components "github.com/dapr/dapr/pkg/apis/components/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Each way, with each broker, whether or not Dapr's chart turns on native sidecars: the pod after
// Dapr's injector keeps every rule.
func TestEachWayKeepsTheRules(t *testing.T) {
	for _, way := range ways {
		for _, broker := range brokers {
			t.Run(way+"/"+broker, func(t *testing.T) {
				w := workloadOf(t, way, todo(t, copied(t), way, broker))
				for _, w.nativeDaprd = range []bool{false, true} {
					pod, err := w.injected()
					if err != nil {
						t.Fatal(err)
					}
					for _, problem := range problems(way, pod) {
						t.Errorf("nativeSidecar %t: %s", w.nativeDaprd, problem)
					}
				}
			})
		}
	}
}

// Where Dapr's chart turns on native sidecars, daprd becomes one beside a native component only: the
// two other ways put the component among spec.containers, where it would start after daprd.
func TestDaprdIsANativeSidecarAfterANativeComponent(t *testing.T) {
	for _, way := range ways {
		w := workloadOf(t, way, todo(t, copied(t), way, "redpanda"))
		w.nativeDaprd = true
		pod, err := w.injected()
		if err != nil {
			t.Fatal(err)
		}
		container, initial, _ := named(pod, daprd)
		if initial != (way == "native") {
			t.Errorf("%s: daprd is an init container: %t", way, initial)
		}
		if !initial {
			continue
		}
		if problem := differs("daprd's restartPolicy", container.RestartPolicy, ptr.To(corev1.ContainerRestartPolicyAlways)); problem != "" {
			t.Error(problem)
		}
		slices.Reverse(pod.Spec.InitContainers)
		const problem = "daprd starts when the socket is there: daprd is init container 0, the component 1"
		if found := problems(way, pod); !slices.Contains(found, problem) {
			t.Errorf("a component that starts after daprd is not noticed: %q", found)
		}
	}
}

// What a StatefulSet runs is patched as well, and what does not have the label is not.
func TestThePatchesFindTheirWorkloads(t *testing.T) {
	for _, way := range ways {
		const path = "deploy/todo/base/deployment.yaml"
		plain := string(read(t, path))
		from := copied(t)
		write(t, from, path, strings.Replace(plain, "kind: Deployment", "kind: StatefulSet", 1))
		pod, err := workloadOf(t, way, todo(t, from, way, "redpanda")).injected()
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems(way, pod) {
			t.Errorf("%s, StatefulSet: %s", way, problem)
		}
		write(t, from, path, strings.Replace(plain, "dapr-rdkafka: ", "other: ", 1))
		pod, err = workloadOf(t, way, todo(t, from, way, "redpanda")).injected()
		if err != nil {
			t.Fatal(err)
		}
		if container, _, _ := named(pod, component); container != nil {
			t.Errorf("%s: a Deployment without the label got the container", way)
		}
	}
}

// An app with volumes, annotations and init containers of its own keeps them: the Components add to
// what is there.
func TestThePatchesLeaveAloneWhatIsThere(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			from := copied(t)
			write(t, from, "deploy/todo/patched/kustomization.yaml", `
resources: [../base]
components: [../../sidecar/`+way+`]
patches:
- target: {kind: Deployment}
  patch: |
    kind: Deployment
    apiVersion: apps/v1
    metadata: {name: any}
    spec:
      template:
        metadata: {annotations: {dapr.io/log-as-json: "true"}}
        spec:
          initContainers: [{name: migrate, image: migrate}]
          volumes: [{name: cache, emptyDir: {}}]
          containers: [{name: todo, volumeMounts: [{name: cache, mountPath: /cache}]}]
`)
			built := build(t, from, "deploy/todo/patched")
			w := workload{way: way}
			for _, resource := range built.Resources() {
				text, _ := resource.AsYAML()
				w.pod = *podOf(t, text)
			}
			pod, err := w.injected()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"migrate", "todo", daprd} {
				if container, _, _ := named(pod, name); container == nil {
					t.Errorf("there is no %s any more", name)
				}
			}
			if app := mustFind(t, pod, "todo"); mounted(app, "/cache") == nil || app.Image != "dapr-rdkafka-todo:0.1.0" {
				t.Errorf("the app lost its volume, or its image: %v %q", app.VolumeMounts, app.Image)
			}
			if args := strings.Join(mustFind(t, pod, daprd).Args, " "); !strings.Contains(args, "--log-as-json") {
				t.Error("the annotation was lost")
			}
			if problem := twice(pod, nil, nil) + mountsVolumes(pod, nil, nil); problem != "" {
				t.Error(problem)
			}
		})
	}
}

func mustFind(t *testing.T, pod *corev1.Pod, name string) *corev1.Container {
	t.Helper()
	container, _, _ := named(pod, name)
	if container == nil {
		t.Fatalf("the pod has no container %s", name)
	}
	return container
}

// Each rule notices when it is broken: what is changed is what may be changed by hand, and what the
// injector makes of it is what the problem tells. In each way that is named.
func TestWhatIsBrokenIsNoticed(t *testing.T) {
	for _, broken := range breaks {
		for _, way := range strings.Fields(broken.ways) {
			t.Run(way+"/"+broken.what, func(t *testing.T) {
				w := workloadOf(t, way, todo(t, copied(t), way, "redpanda")).copied()
				broken.how(&w)
				pod, err := w.injected()
				if err != nil {
					t.Fatal(err)
				}
				found := strings.Join(problems(way, pod), "\n")
				if !strings.Contains(found, broken.problem) {
					t.Errorf("found %q, which does not say %q", found, broken.problem)
				}
			})
		}
	}
}

// serving is the component's container where it is written down.
func serving(w *workload, change func(*corev1.Container)) {
	for _, containers := range [][]corev1.Container{w.pod.Spec.InitContainers, w.pod.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == component {
				change(&containers[i])
			}
		}
	}
	if w.way != "injector" {
		return
	}
	container, err := annotated(w.components[0])
	if err != nil {
		panic(err)
	}
	change(&container)
	w.components[0].Annotations["dapr.io/component-container"] = asJSON(container)
}

// another Component like the first, with the change.
func another(w *workload, change func(*components.Component)) {
	second := *w.components[0].DeepCopy()
	second.Name = "another"
	change(&second)
	w.components = append(w.components, second)
}

// asUser has the pod's containers run as the app's own user.
func asUser(w *workload, group *int64) {
	w.pod.Spec.SecurityContext.RunAsUser = ptr.To(int64(1000))
	w.pod.Spec.SecurityContext.RunAsGroup = ptr.To(int64(1000))
	w.pod.Spec.SecurityContext.FSGroup = group
}
