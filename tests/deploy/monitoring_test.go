package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
)

// inDeploy are the documents of a kind in deploy/.
func inDeploy(t *testing.T, kind string) (found []document) {
	t.Helper()
	for _, path := range files(t, []string{"deploy"}, ".yaml") {
		if elsewhere[path] != "" {
			continue
		}
		all, err := documents(path, read(t, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range all {
			if strings.HasSuffix(doc.kind, " "+kind) {
				found = append(found, doc)
			}
		}
	}
	return found
}

// What monitors pods finds them, each of the three ways: namespace, labels, and the port's name.
func TestMonitorsFindThePods(t *testing.T) {
	for _, doc := range inDeploy(t, "PodMonitor") {
		var monitor monitoring.PodMonitor
		strictly(t, doc.text, &monitor)
		selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range ways {
			pod, err := workloadOf(t, way, todo(t, copied(t), way, "redpanda")).injected()
			if err != nil {
				t.Fatal(err)
			}
			if monitor.Namespace != pod.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s: it looks in %s for %s; the pod (%s) is in %s, with %v", doc.where, monitor.Namespace, selector, way, pod.Namespace, pod.Labels)
			}
			for _, endpoint := range monitor.Spec.PodMetricsEndpoints {
				if mustFind(t, pod, component).Ports[0].Name != *endpoint.Port {
					t.Errorf("%s: no port %s (%s)", doc.where, *endpoint.Port, way)
				}
			}
		}
	}
}

// Of the component's pods, each of the three ways, only Prometheus reaches the admin port, and
// everyone still reaches the others.
func TestOnlyPrometheusReachesTheAdminPort(t *testing.T) {
	docs := inDeploy(t, "NetworkPolicy")
	found := slices.IndexFunc(docs, func(doc document) bool { return strings.Contains(doc.where, "deploy/monitoring") })
	if found < 0 {
		t.Fatal("there is no policy")
	}
	var rules networking.NetworkPolicy
	strictly(t, docs[found].text, &rules)
	selector, err := metav1.LabelSelectorAsSelector(&rules.Spec.PodSelector)
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		pod, err := workloadOf(t, way, todo(t, copied(t), way, "redpanda")).injected()
		if err != nil {
			t.Fatal(err)
		}
		if rules.Namespace != pod.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
			t.Errorf("the policy does not select the pod (%s) in %s with %v", way, pod.Namespace, pod.Labels)
		}
		if admin := mustFind(t, pod, component).Ports[0].ContainerPort; admin != 9405 {
			t.Errorf("the admin port is %d (%s)", admin, way)
		}
	}
	open := func(protocol corev1.Protocol, number int32) (everyone, prometheus bool) {
		for _, rule := range rules.Spec.Ingress {
			for _, port := range rule.Ports {
				from := port.Port.IntVal
				if ptr.Deref(port.Protocol, corev1.ProtocolTCP) != protocol || number < from || number > ptr.Deref(port.EndPort, from) {
					continue
				}
				everyone = everyone || len(rule.From) == 0
				prometheus = prometheus || len(rule.From) == 1 && rule.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] == "monitoring"
			}
		}
		return everyone, prometheus
	}
	for number := int32(1); number <= 65535; number++ {
		everyone, prometheus := open(corev1.ProtocolTCP, number)
		if everyone == (number == 9405) || prometheus != (number == 9405) {
			t.Fatalf("TCP port %d: everyone %t, Prometheus %t", number, everyone, prometheus)
		}
		if everyone, _ := open(corev1.ProtocolUDP, number); !everyone {
			t.Fatalf("UDP port %d is closed", number)
		}
	}
}

// What scales the app names it, and each alert leads to a section of a page.
func TestMonitoringNamesWhatIsThere(t *testing.T) {
	for _, doc := range inDeploy(t, "ScaledObject") {
		var scaled scaledObject
		strictly(t, doc.text, &scaled)
		app := of(objects(t, todo(t, copied(t), "native", "redpanda")), "Deployment")[0]
		if scaled.Spec.ScaleTargetRef.Name != app.name || scaled.Namespace != app.namespace {
			t.Errorf("%s: it scales %s in %s", doc.where, scaled.Spec.ScaleTargetRef.Name, scaled.Namespace)
		}
	}
	for _, doc := range inDeploy(t, "PrometheusRule") {
		var rules monitoring.PrometheusRule
		strictly(t, doc.text, &rules)
		for _, group := range rules.Spec.Groups {
			for _, rule := range group.Rules {
				page, section, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
				if page = page[strings.Index(page, "docs/"):]; !hasSection(string(read(t, page)), section) {
					t.Errorf("%s: %s leads to %s#%s, which is not there", doc.where, rule.Alert, page, section)
				}
			}
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

// hasSection as GitHub makes anchors of headings.
func hasSection(page, section string) bool {
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(found[1]), "")
		if strings.ReplaceAll(anchor, " ", "-") == section {
			return true
		}
	}
	return false
}

var link = regexp.MustCompile(`\]\(([^)#: ]*)(?:#([^) ]+))?\)`)

// Links of the pages of deploy/, and of docs/dead-ends.md, lead to files and sections that are there.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range append(files(t, []string{"deploy"}, ".md"), "docs/dead-ends.md") {
		for _, found := range link.FindAllStringSubmatch(string(read(t, page)), -1) {
			if problem := leads(page, found[1], found[2]); problem != "" {
				t.Errorf("%s: %s", page, problem)
			}
		}
	}
}
