package deploy

import (
	"encoding/json"
	"strings"

	components "github.com/dapr/dapr/pkg/apis/components/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// breaks are ways to break a workload, and what is noticed.
var breaks = []struct {
	what, ways, problem string
	how                 func(*workload)
}{
	{"no restartPolicy", "native", "restartPolicy", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.RestartPolicy = nil })
	}},
	{"no startupProbe", "native container injector", "startupProbe", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.StartupProbe = nil })
	}},
	{"no volume", "native", "no volume at " + sockets, func(w *workload) { w.pod.Spec.Volumes = nil }},
	{"mounted read-only", "native", "is read-only", func(w *workload) {
		annotate(w, "dapr.io/volume-mounts", w.pod.Annotations["dapr.io/volume-mounts-rw"])
		annotate(w, "dapr.io/volume-mounts-rw", "")
	}},
	{"the injector's annotation and an init container", "native", "no volume at " + sockets, func(w *workload) {
		annotate(w, "dapr.io/pluggable-components", component)
		annotate(w, "dapr.io/volume-mounts-rw", "")
	}},
	{"a volume that is kept", "native", "is no emptyDir", func(w *workload) {
		w.pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: sockets}}
	}},
	{"no postStart", "container", "no postStart", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.Lifecycle = nil })
	}},
	{"daprd as a native sidecar", "container injector", "daprd is an init container: true, not false",
		func(w *workload) { annotate(w, "dapr.io/enable-native-sidecar", "true") }},
	{"native sidecars on in Dapr's chart", "container injector", "daprd is an init container: true, not false",
		func(w *workload) {
			w.nativeDaprd = true
			annotate(w, "dapr.io/enable-native-sidecar", "")
		}},
	{"no annotation", "container", "no volume at " + sockets, func(w *workload) { annotate(w, "dapr.io/pluggable-components", "") }},
	{"a volume of its own", "container", "for the component, and", func(w *workload) {
		w.pod.Spec.Volumes = append(w.pod.Spec.Volumes, corev1.Volume{
			Name: "own", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		serving(w, func(c *corev1.Container) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "own", MountPath: sockets})
		})
	}},
	// The injector tells the component of the folder by one variable, and daprd reads another.
	{"another folder", "container injector", "the component makes its socket in /sockets, daprd looks into " + sockets,
		func(w *workload) { annotate(w, "dapr.io/pluggable-components-sockets-folder", "/sockets") }},
	// The injector adds its first volume as a list, and then its second one as a list, in the place
	// of the first: daprd's own token is lost. With any volume in the pod that does not happen.
	{"no volume at all", "container injector", "daprd mounts dapr-identity-token, which the pod does not have",
		func(w *workload) { w.pod.Spec.AutomountServiceAccountToken = ptr.To(false) }},
	{"not asked for", "injector", "the pod has no container rdkafka", func(w *workload) {
		annotate(w, "dapr.io/inject-pluggable-components", "")
	}},
	{"for another app", "injector", "the pod has no container rdkafka", func(w *workload) {
		w.components[0].Scopes = []string{"another"}
	}},
	{"no JSON", "injector", "the pod has no container rdkafka", func(w *workload) {
		w.components[0].Annotations["dapr.io/component-container"] = "name: rdkafka\nimage: dapr-rdkafka"
	}},
	{"on two Components, with two images", "injector", "container rdkafka", func(w *workload) {
		another(w, func(c *components.Component) {
			text := c.Annotations["dapr.io/component-container"]
			c.Annotations["dapr.io/component-container"] = strings.Replace(text, ":0.1.0", ":0.2.0", 1)
		})
	}},
	{"a port of daprd's", "native container injector", "port 3500", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.Ports[0].ContainerPort = 3500 })
	}},
	{"another user and no group in common", "native container injector", "may not open the socket", func(w *workload) { asUser(w, nil) }},
	{"another user for the component", "native container injector", "securityContext", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.SecurityContext.RunAsUser = ptr.To(int64(1000)) })
	}},
	{"too little time to stop", "native container injector", "terminationGracePeriodSeconds: 30, not 45", func(w *workload) {
		w.pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(30))
	}},
	{"other args", "native container injector", "args", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.Args = append(c.Args, "--name=kafka") })
	}},
	{"a password in the environment", "native container injector", "secrets", func(w *workload) {
		serving(w, func(c *corev1.Container) {
			c.Env = []corev1.EnvVar{{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{}}}
		})
	}},
	{"ready when brokers are", "native container injector", "a readinessProbe", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.ReadinessProbe = c.LivenessProbe })
	}},
	{"a liveness that asks the port", "native container injector", "no livenessProbe by exec", func(w *workload) {
		serving(w, func(c *corev1.Container) {
			c.LivenessProbe.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/livez"}}
		})
	}},
	{"a limit for the CPU", "native container injector", "resources", func(w *workload) {
		serving(w, func(c *corev1.Container) { c.Resources.Limits["cpu"] = c.Resources.Requests["cpu"] })
	}},
	{"an app that keeps capabilities", "native container injector", "todo keeps capabilities", func(w *workload) {
		for i := range w.pod.Spec.Containers {
			if w.pod.Spec.Containers[i].Name == "todo" {
				w.pod.Spec.Containers[i].SecurityContext.Capabilities = nil
			}
		}
	}},
}

// annotate the pod; no value is no annotation.
func annotate(w *workload, name, value string) {
	if value == "" {
		delete(w.pod.Annotations, name)
		return
	}
	w.pod.Annotations[name] = value
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
