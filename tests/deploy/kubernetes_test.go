package deploy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// twice finds what Kubernetes refuses to have twice in a pod, or what fails at run time: containers
// of a pod share one network, and so its ports.
func twice(pod *corev1.Pod, _, _ *corev1.Container) string {
	seen := map[string]string{}
	var found string
	note := func(what, who string) {
		if before, there := seen[what]; there && found == "" {
			found = fmt.Sprintf("%s: %s and %s", what, before, who)
		}
		seen[what] = who
	}
	for _, volume := range pod.Spec.Volumes {
		note("volume "+volume.Name, "the pod")
	}
	for _, container := range all(pod) {
		note("container "+container.Name, "the pod")
		for _, port := range container.Ports {
			note(fmt.Sprintf("port %d", port.ContainerPort), container.Name)
		}
		for _, mount := range container.VolumeMounts {
			note(container.Name+"'s mount at "+mount.MountPath, mount.Name)
		}
		for _, env := range container.Env {
			note(container.Name+"'s variable "+env.Name, env.Value)
		}
	}
	return found
}

// mountsVolumes finds mounts of volumes that the pod does not have: Kubernetes refuses it.
func mountsVolumes(pod *corev1.Pod, _, _ *corev1.Container) string {
	volumes := map[string]bool{}
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, container := range all(pod) {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				return fmt.Sprintf("%s mounts %s, which the pod does not have", container.Name, mount.Name)
			}
		}
	}
	return ""
}

// hardened finds containers that a namespace with the Pod Security Standard `restricted` refuses.
// daprd is as Dapr's chart sets it: without drop ALL, unless sidecarDropALLCapabilities is set.
func hardened(pod *corev1.Pod, _, _ *corev1.Container) string {
	podwide := pod.Spec.SecurityContext
	if podwide == nil {
		podwide = &corev1.PodSecurityContext{}
	}
	for _, container := range all(pod) {
		own := container.SecurityContext
		if own == nil {
			own = &corev1.SecurityContext{}
		}
		seccomp := podwide.SeccompProfile
		if own.SeccompProfile != nil {
			seccomp = own.SeccompProfile
		}
		dropsAll := own.Capabilities != nil && len(own.Capabilities.Drop) == 1 && own.Capabilities.Drop[0] == "ALL"
		switch {
		case !ptr.Deref(own.RunAsNonRoot, ptr.Deref(podwide.RunAsNonRoot, false)):
			return container.Name + " may run as root"
		case ptr.Deref(own.AllowPrivilegeEscalation, true):
			return container.Name + " may gain privileges"
		case !ptr.Deref(own.ReadOnlyRootFilesystem, false):
			return container.Name + " may write its root filesystem"
		case seccomp == nil || seccomp.Type != corev1.SeccompProfileTypeRuntimeDefault:
			return container.Name + " has no seccomp profile"
		case container.Name != daprd && !dropsAll:
			return container.Name + " keeps capabilities"
		}
	}
	return ""
}
