package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Whatever one manifest says of another is there: volumes and their keys, ports, Secrets, images.
func TestReferencesResolve(t *testing.T) {
	secrets := documentedSecrets(t)
	for name, all := range builds(t) {
		for _, object := range all {
			if object.pod == nil {
				continue
			}
			for _, problem := range dangling(object.pod.Spec, all, secrets) {
				t.Errorf("%s: %s %s: %s", name, object.kind, object.name, problem)
			}
		}
	}
}

// dangling references of a pod.
func dangling(pod corev1.PodSpec, all []object, secrets map[string][]string) (found []string) {
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
		if volume.ConfigMap != nil && !slices.ContainsFunc(of(all, "ConfigMap"), func(o object) bool { return o.name == volume.ConfigMap.Name }) {
			problem("there is no ConfigMap %s", volume.ConfigMap.Name)
		}
	}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		if !pinned(container.Image) {
			problem("the image %s has no version", container.Image)
		}
		ports := map[string]bool{}
		for _, port := range container.Ports {
			ports[port.Name] = true
		}
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			if port := portOf(probe); port != "" && !ports[port] {
				problem("%s has no port %s to be asked at", container.Name, port)
			}
		}
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] && mount.Name != "data" { // volumeClaimTemplates
				problem("%s mounts %s, which is no volume", container.Name, mount.Name)
			}
		}
		for _, env := range container.Env {
			if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil {
				ref := env.ValueFrom.SecretKeyRef
				if !slices.Contains(secrets[ref.Name], ref.Key) {
					problem("no page makes the Secret %s with the key %s", ref.Name, ref.Key)
				}
			}
		}
	}
	return found
}

// pinned: with a version, which is not latest.
func pinned(image string) bool {
	_, version, there := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return there && version != "latest"
}

// portOf a probe, if it has a name.
func portOf(probe *corev1.Probe) string {
	switch {
	case probe == nil:
		return ""
	case probe.HTTPGet != nil:
		return probe.HTTPGet.Port.StrVal
	case probe.TCPSocket != nil:
		return probe.TCPSocket.Port.StrVal
	}
	return ""
}

// What dangles is noticed.
func TestWhatDanglesIsNoticed(t *testing.T) {
	pod := corev1.PodSpec{Containers: []corev1.Container{{
		Name: "a", Image: "registry:5000/a",
		LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{}}},
		VolumeMounts:  []corev1.VolumeMount{{Name: "v"}},
		Env: []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "todo-kafka"}, Key: "passwd"}}}},
	}}, Volumes: []corev1.Volume{{Name: "c", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}}}
	pod.Containers[0].LivenessProbe.HTTPGet.Port.StrVal = "admin"
	if found := dangling(pod, nil, documentedSecrets(t)); len(found) != 5 {
		t.Errorf("not five problems: %q", found)
	}
}

var (
	creates = regexp.MustCompile(`create secret generic ([a-z0-9-]+)([^|\n]*)`)
	keys    = regexp.MustCompile(`--from-(?:literal|file)=['"]?([A-Za-z0-9._-]+)`)
)

// documentedSecrets are the Secrets that deploy/README.md and the pages of deploy/brokers have made,
// with their keys.
func documentedSecrets(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, page := range files(t, []string{"deploy"}, ".md") {
		text := strings.ReplaceAll(string(read(t, page)), "\\\n", " ")
		for _, command := range creates.FindAllStringSubmatch(text, -1) {
			for _, key := range keys.FindAllStringSubmatch(command[2], -1) {
				found[command[1]] = append(found[command[1]], key[1])
			}
		}
	}
	return found
}

// A Component's Secrets are made by a page. One that is missing keeps every app in the namespace from
// its Components: the operator then answers daprd's question for all of them by an error (dapr/dapr
// v1.18.3, pkg/operator/api/components.go, ListComponents).
func TestSecretsOfComponentsAreDocumented(t *testing.T) {
	secrets := documentedSecrets(t)
	for _, broker := range brokers {
		component := componentOf(t, objects(t, todo(t, copied(t), "native", broker)))
		looked := 0
		for _, item := range component.Spec.Metadata {
			if ref := item.SecretKeyRef; ref.Name != "" {
				looked++
				if !slices.Contains(secrets[ref.Name], ref.Key) {
					t.Errorf("%s: no page makes the Secret %s with the key %s", broker, ref.Name, ref.Key)
				}
			}
		}
		if (looked > 0) != (component.Auth.SecretStore == "kubernetes") {
			t.Errorf("%s: %d values from Secrets, and secretStore %q", broker, looked, component.Auth.SecretStore)
		}
	}
}
