package deploy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Services, network policies and disruption budgets select pods that are there, and name ports that
// these have.
func TestSelectorsAndPortsResolve(t *testing.T) {
	for name, all := range builds(t) {
		if name == "deploy/monitoring" {
			continue // Its pods are in other builds: TestOnlyPrometheusReachesTheAdminPort.
		}
		for _, object := range all {
			for _, selected := range selections(t, object) {
				ports := portsOf(t, all, selected.selector)
				if ports == nil {
					t.Errorf("%s: %s %s selects no pod: %v", name, object.kind, object.name, selected.selector)
				}
				for _, port := range selected.ports {
					if ports[port] == 0 {
						t.Errorf("%s: %s %s: no port %s", name, object.kind, object.name, port)
					}
				}
			}
		}
	}
}

// selection of pods, and the names of their ports.
type selection struct {
	selector *metav1.LabelSelector
	ports    []string
}

func selections(t *testing.T, from object) []selection {
	t.Helper()
	switch from.kind {
	case "Service":
		var service corev1.Service
		from.into(t, &service)
		found := selection{selector: &metav1.LabelSelector{MatchLabels: service.Spec.Selector}}
		for _, port := range service.Spec.Ports {
			found.ports = append(found.ports, port.TargetPort.StrVal)
		}
		return []selection{found}
	case "PodDisruptionBudget":
		var budget policy.PodDisruptionBudget
		from.into(t, &budget)
		return []selection{{selector: budget.Spec.Selector}}
	case "NetworkPolicy":
		var rules networking.NetworkPolicy
		from.into(t, &rules)
		found := selection{selector: &rules.Spec.PodSelector}
		for _, rule := range rules.Spec.Ingress {
			for _, port := range rule.Ports {
				found.ports = append(found.ports, port.Port.StrVal)
			}
		}
		return []selection{found}
	}
	return nil
}

// portsOf the pods that are selected, by name; nil if there is no such pod.
func portsOf(t *testing.T, all []object, by *metav1.LabelSelector) map[string]int32 {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil {
		t.Fatal(err)
	}
	var found map[string]int32
	for _, object := range all {
		if object.pod == nil || !selector.Matches(labels.Set(object.pod.Labels)) {
			continue
		}
		if found == nil {
			found = map[string]int32{}
		}
		for _, container := range object.pod.Spec.Containers {
			for _, port := range container.Ports {
				found[port.Name] = port.ContainerPort
			}
		}
	}
	return found
}
