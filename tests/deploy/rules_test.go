package deploy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

// rule is one thing that must hold for a pod as kubelet gets it, in some of the ways or in all.
// broken says what is wrong, with the names and values.
type rule struct {
	name   string
	ways   []string
	broken func(pod *corev1.Pod, serves, asks *corev1.Container) string
}

// rules of the whole pod. What Kubernetes itself would refuse is among them: no cluster is asked.
var rules = []rule{
	{"daprd starts when the socket is there", []string{"native"}, startsAsSidecar},
	{"daprd starts when the socket is there", []string{"container"}, startsBeforeDaprd},
	{"daprd fails at first and is started again", []string{"injector"}, startsAfterDaprd},
	{"both look into the same folder", ways, sameFolder},
	{"daprd may open the socket", ways, func(pod *corev1.Pod, serves, asks *corev1.Container) string {
		if err := mayOpen(pod, asks, serves); err != nil {
			return err.Error()
		}
		return ""
	}},
	{"nothing is there twice", ways, twice},
	{"each mount has its volume", ways, mountsVolumes},
	{"there is time to stop", ways, func(pod *corev1.Pod, _, _ *corev1.Container) string {
		return differs("terminationGracePeriodSeconds", pod.Spec.TerminationGracePeriodSeconds, ptr.To(int64(45)))
	}},
	{"the app knows where daprd is", ways, func(pod *corev1.Pod, _, _ *corev1.Container) string {
		app, _, _ := named(pod, "todo")
		port, _ := variable(app, "DAPR_HTTP_PORT")
		return differs("the app's DAPR_HTTP_PORT", port, "3500")
	}},
	{"the component is run as it should", ways, func(_ *corev1.Pod, serves, _ *corev1.Container) string {
		return first(
			differs("command", serves.Command, []string{}),
			differs("args", serves.Args, []string{"run", "--admin-listen=0.0.0.0:9405", "--heal-daprd=http://127.0.0.1:3500"}),
			differs("ports", serves.Ports, []corev1.ContainerPort{{Name: "rdkafka-admin", ContainerPort: 9405}}),
			differs("secrets in its environment", slices.ContainsFunc(serves.Env, func(env corev1.EnvVar) bool { return env.ValueFrom != nil }), false))
	}},
	{"it is looked after, whether or not brokers answer", ways, probes},
	{"it may do nothing but serve", ways, func(_ *corev1.Pod, serves, _ *corev1.Container) string {
		return differs("securityContext", serves.SecurityContext, &corev1.SecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(nonroot), RunAsGroup: ptr.To(nonroot),
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		})
	}},
	{"it has what it needs", ways, func(_ *corev1.Pod, serves, _ *corev1.Container) string {
		return differs("resources", serves.Resources, corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("25m"), "memory": resource.MustParse("48Mi")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("128Mi")},
		})
	}},
	{"the apps do as little", ways, hardened},
}

// problems are the rules that do not hold for the pod.
func problems(way string, pod *corev1.Pod) (found []string) {
	serves, _, _ := named(pod, component)
	asks, _, _ := named(pod, daprd)
	if serves == nil || asks == nil {
		return []string{fmt.Sprintf("the pod has no container %s, or no %s", component, daprd)}
	}
	for _, rule := range rules {
		if !slices.Contains(rule.ways, way) {
			continue
		}
		if broken := rule.broken(pod, serves, asks); broken != "" {
			found = append(found, rule.name+": "+broken)
		}
	}
	return found
}

func startsAsSidecar(pod *corev1.Pod, serves, _ *corev1.Container) string {
	_, initial, component := named(pod, component)
	_, daprdToo, daprd := named(pod, daprd)
	var after string
	if daprdToo && daprd < component {
		after = fmt.Sprintf("daprd is init container %d, the component %d", daprd, component)
	}
	return first(
		after,
		differs("the component is an init container", initial, true),
		differs("restartPolicy", serves.RestartPolicy, ptr.To(corev1.ContainerRestartPolicyAlways)),
		differs("a startupProbe, for which kubelet waits", serves.StartupProbe != nil, true))
}

func startsBeforeDaprd(pod *corev1.Pod, serves, _ *corev1.Container) string {
	if problem := bothOrdinary(pod); problem != "" {
		return problem
	}
	_, _, component := named(pod, component)
	_, _, daprd := named(pod, daprd)
	if component >= daprd {
		return fmt.Sprintf("the component is container %d, daprd %d", component, daprd)
	}
	if serves.Lifecycle == nil || serves.Lifecycle.PostStart == nil || serves.Lifecycle.PostStart.Exec == nil {
		return "no postStart makes kubelet wait"
	}
	return differs("postStart", serves.Lifecycle.PostStart.Exec.Command,
		[]string{"dapr-rdkafka", "probe", "socket", "--wait", "60s"})
}

func startsAfterDaprd(pod *corev1.Pod, _, _ *corev1.Container) string {
	if problem := bothOrdinary(pod); problem != "" {
		return problem
	}
	_, _, component := named(pod, component)
	if _, _, daprd := named(pod, daprd); component <= daprd {
		return fmt.Sprintf("the component is container %d, daprd %d: README.md says otherwise", component, daprd)
	}
	return ""
}

// bothOrdinary requires that neither container is an init container. kubelet starts those before
// spec.containers, so an ordinary component would start after a daprd that is a native sidecar.
func bothOrdinary(pod *corev1.Pod) string {
	_, serves, _ := named(pod, component)
	_, asks, _ := named(pod, daprd)
	return first(
		differs("the component is an init container", serves, false),
		differs("daprd is an init container", asks, false))
}

func sameFolder(pod *corev1.Pod, serves, asks *corev1.Container) string {
	made := folder(serves, folderOfDaprd, folderOfInjector)
	looked := folder(asks, folderOfDaprd)
	if made != looked {
		return fmt.Sprintf("the component makes its socket in %s, daprd looks into %s", made, looked)
	}
	makes, looks := mounted(serves, made), mounted(asks, looked)
	switch {
	case makes == nil || looks == nil:
		return fmt.Sprintf("no volume at %s: in the component %t, in daprd %t", made, makes != nil, looks != nil)
	case makes.Name != looks.Name:
		return fmt.Sprintf("%s is volume %s for the component, and %s for daprd", made, makes.Name, looks.Name)
	case makes.ReadOnly || looks.ReadOnly:
		return fmt.Sprintf("%s is read-only, and connecting to a socket is writing", made)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == makes.Name && volume.EmptyDir != nil {
			return ""
		}
	}
	return fmt.Sprintf("the volume %s is no emptyDir", makes.Name)
}

func probes(_ *corev1.Pod, serves, _ *corev1.Container) string {
	if serves.StartupProbe == nil || serves.StartupProbe.Exec == nil || serves.LivenessProbe == nil || serves.LivenessProbe.Exec == nil {
		return "no startupProbe by exec, or no livenessProbe by exec"
	}
	return first(
		differs("startupProbe", serves.StartupProbe.Exec.Command, []string{"dapr-rdkafka", "probe", "socket"}),
		differs("seconds to start", serves.StartupProbe.PeriodSeconds*serves.StartupProbe.FailureThreshold, int32(60)),
		// Not over the port: whoever reaches it could keep the probe waiting.
		differs("livenessProbe", serves.LivenessProbe.Exec.Command, []string{"dapr-rdkafka", "probe", "live"}),
		differs("a readinessProbe", serves.ReadinessProbe != nil, false))
}

// first of the problems, or none.
func first(problems ...string) string {
	return strings.Join(slices.DeleteFunc(problems, func(problem string) bool { return problem == "" }), "; ")
}

func differs(what string, is, should any) string {
	if equality.Semantic.DeepEqual(is, should) {
		return ""
	}
	return fmt.Sprintf("%s: %v, not %v", what, show(is), show(should))
}

// show a pointer's value, not its address.
func show(value any) string {
	switch value := value.(type) {
	case *int64:
		if value != nil {
			return fmt.Sprint(*value)
		}
	case *corev1.ContainerRestartPolicy:
		if value != nil {
			return string(*value)
		}
	case fmt.Stringer:
		return value.String()
	}
	return fmt.Sprintf("%v", value)
}
