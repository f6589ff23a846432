package deploy

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	// component and daprd are the containers' names.
	component = "rdkafka"
	daprd     = "daprd"
	// sockets is where daprd looks for components (dapr/dapr v1.18.3,
	// pkg/components/pluggable/discovery.go).
	sockets = "/tmp/dapr-components-sockets"
	// nonroot is the user and group of daprd's image (docker/Dockerfile) and of this one.
	nonroot = int64(65532)
)

// folderOfDaprd is the variable that daprd reads, and folderOfInjector the one that the injector
// writes (pkg/components/pluggable/discovery.go, pkg/injector/consts/consts.go): they differ by an
// S. The component reads both, daprd's first.
const (
	folderOfDaprd    = "DAPR_COMPONENTS_SOCKETS_FOLDER"
	folderOfInjector = "DAPR_COMPONENT_SOCKETS_FOLDER"
)

// named returns the container of that name, whether kubelet starts it before all of
// spec.containers, and its place in its list; nil if there is none.
func named(pod *corev1.Pod, name string) (found *corev1.Container, initial bool, at int) {
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return &pod.Spec.InitContainers[i], true, i
		}
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i], false, i
		}
	}
	return nil, false, -1
}

// all containers of a pod.
func all(pod *corev1.Pod) []corev1.Container {
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}

// variable is an environment variable's value.
func variable(container *corev1.Container, name string) (string, bool) {
	for _, env := range container.Env {
		if env.Name == name {
			return env.Value, true
		}
	}
	return "", false
}

// folder is where a container looks for sockets, or makes them.
func folder(container *corev1.Container, variables ...string) string {
	for _, name := range variables {
		if value, there := variable(container, name); there {
			return value
		}
	}
	return sockets
}

// mounted is the mount at that path.
func mounted(container *corev1.Container, path string) *corev1.VolumeMount {
	for i, mount := range container.VolumeMounts {
		if mount.MountPath == path {
			return &container.VolumeMounts[i]
		}
	}
	return nil
}

// user and groups of a container: what it says itself, else the pod, else the image.
func user(pod *corev1.Pod, container *corev1.Container) (uid int64, groups []int64) {
	uid, gid := nonroot, nonroot
	if all := pod.Spec.SecurityContext; all != nil {
		uid, gid = or(all.RunAsUser, uid), or(all.RunAsGroup, gid)
		groups = append(groups, all.SupplementalGroups...)
		if all.FSGroup != nil {
			groups = append(groups, *all.FSGroup)
		}
	}
	if own := container.SecurityContext; own != nil {
		uid, gid = or(own.RunAsUser, uid), or(own.RunAsGroup, gid)
	}
	return uid, append(groups, gid)
}

func or(value *int64, otherwise int64) int64 {
	if value != nil {
		return *value
	}
	return otherwise
}

// mayOpen says whether daprd may connect to the component's socket, whose mode is 0660. kubelet
// makes an emptyDir of a pod with an fsGroup belong to that group and sets its setgid bit, so what
// is made in it belongs to the group too; else the socket belongs to the component's own group.
func mayOpen(pod *corev1.Pod, asks, serves *corev1.Container) error {
	owner, groups := user(pod, serves)
	group := groups[len(groups)-1]
	if all := pod.Spec.SecurityContext; all != nil && all.FSGroup != nil {
		group = *all.FSGroup
	}
	uid, memberOf := user(pod, asks)
	if uid == owner || uid == 0 || slices.Contains(memberOf, group) {
		return nil
	}
	return fmt.Errorf("%s (user %d, groups %v) may not open the socket of %s (user %d, group %d)",
		asks.Name, uid, memberOf, serves.Name, owner, group)
}
