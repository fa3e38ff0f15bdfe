// Package kubernetes checks what deploy/kubernetes and deploy/helm make, without a cluster and
// without a network. It is a module of its own: the relay needs none of these libraries.
package kubernetes

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const deploy = "../../../deploy"

// manifests are what is applied, by kind; each has been read with unknown fields refused.
type manifests struct {
	stateful   []*apps.StatefulSet
	deployment []*apps.Deployment
	services   []*core.Service
	configs    []*core.ConfigMap
	policies   []*networking.NetworkPolicy
	budgets    []*policy.PodDisruptionBudget
}

// read reads documents, and fails for a kind or a field that Kubernetes does not know.
func read(t *testing.T, text string) (m manifests) {
	t.Helper()
	for _, document := range regexp.MustCompile(`(?m)^---\s*$`).Split(text, -1) {
		if strings.TrimSpace(document) == "" {
			continue
		}
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		var object any
		switch head.APIVersion + " " + head.Kind {
		case "apps/v1 StatefulSet":
			m.stateful = append(m.stateful, &apps.StatefulSet{})
			object = m.stateful[len(m.stateful)-1]
		case "apps/v1 Deployment":
			m.deployment = append(m.deployment, &apps.Deployment{})
			object = m.deployment[len(m.deployment)-1]
		case "v1 Service":
			m.services = append(m.services, &core.Service{})
			object = m.services[len(m.services)-1]
		case "v1 ConfigMap":
			m.configs = append(m.configs, &core.ConfigMap{})
			object = m.configs[len(m.configs)-1]
		case "networking.k8s.io/v1 NetworkPolicy":
			m.policies = append(m.policies, &networking.NetworkPolicy{})
			object = m.policies[len(m.policies)-1]
		case "policy/v1 PodDisruptionBudget":
			m.budgets = append(m.budgets, &policy.PodDisruptionBudget{})
			object = m.budgets[len(m.budgets)-1]
		default:
			t.Fatalf("%s %s is not expected", head.APIVersion, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%v\n%s", err, document)
		}
	}
	return m
}

func kustomized(t *testing.T, overlay string) manifests {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(deploy, "kubernetes", overlay))
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return read(t, string(text))
}

func charted(t *testing.T, values map[string]any) manifests {
	t.Helper()
	chart, err := loader.Load(filepath.Join(deploy, "helm/audiences"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "audiences", Namespace: "relays"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for name, file := range files {
		if strings.HasSuffix(name, ".yaml") {
			text += "---\n" + file + "\n"
		}
	}
	return read(t, text)
}

// TestManifests: what is applied is what Kubernetes knows, and keeps the promises of
// deploy/README.md, by kustomize and by the chart alike.
func TestManifests(t *testing.T) {
	pods := map[string]core.PodSpec{}
	for name, m := range map[string]manifests{
		"single, kustomize":  kustomized(t, "single"),
		"single, chart":      charted(t, map[string]any{}),
		"cluster, kustomize": kustomized(t, "cluster"),
		"cluster, chart":     charted(t, map[string]any{"cluster": true}),
	} {
		t.Run(name, func(t *testing.T) {
			cluster := strings.HasPrefix(name, "cluster")
			template, selector := m.workload(t, cluster)
			pods[name] = template.Spec
			checkPod(t, template.Spec)
			m.checkSelectors(t, template.Labels, selector)
			m.checkPolicy(t, cluster)
			m.checkConfig(t, template.Spec, cluster)
		})
	}
	for _, kind := range []string{"single", "cluster"} {
		one, other := pods[kind+", kustomize"], pods[kind+", chart"]
		for _, p := range []*core.PodSpec{&one, &other} {
			p.Volumes[0].ConfigMap.Name = "" // by kustomize it has a hash of its contents
			p.Containers[0].ImagePullPolicy = ""
			for i := range p.TopologySpreadConstraints {
				p.TopologySpreadConstraints[i].LabelSelector = nil
			}
		}
		if !reflect.DeepEqual(one, other) {
			t.Errorf("%s: by kustomize a pod is\n%s\nby the chart\n%s", kind, asText(one), asText(other))
		}
	}
}

func asText(v any) string {
	text, err := yaml.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// workload is the pod's template and its selector.
func (m *manifests) workload(t *testing.T, cluster bool) (core.PodTemplateSpec, map[string]string) {
	t.Helper()
	if cluster {
		if len(m.deployment) != 1 || len(m.stateful) != 0 || len(m.budgets) != 1 {
			t.Fatalf("%d deployments, %d stateful sets, %d disruption budgets", len(m.deployment), len(m.stateful), len(m.budgets))
		}
		d := m.deployment[0]
		if *d.Spec.Replicas != 3 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 || m.budgets[0].Spec.MaxUnavailable.IntValue() != 1 {
			t.Errorf("%d replicas, %+v, %+v", *d.Spec.Replicas, d.Spec.Strategy, m.budgets[0].Spec)
		}
		return d.Spec.Template, d.Spec.Selector.MatchLabels
	}
	if len(m.deployment) != 0 || len(m.stateful) != 1 || len(m.budgets) != 0 {
		t.Fatalf("%d deployments, %d stateful sets, %d disruption budgets", len(m.deployment), len(m.stateful), len(m.budgets))
	}
	s := m.stateful[0]
	claim := s.Spec.VolumeClaimTemplates[0]
	if *s.Spec.Replicas != 1 || claim.Name != "journal" || !slices.Equal(claim.Spec.AccessModes, []core.PersistentVolumeAccessMode{core.ReadWriteOncePod}) {
		t.Errorf("%d replicas, %+v", *s.Spec.Replicas, claim)
	}
	return s.Spec.Template, s.Spec.Selector.MatchLabels
}

// longestStop is how long a stop may take, in seconds; cli's TestDeployment says why.
const longestStop = 43

func checkPod(t *testing.T, pod core.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	if *pod.TerminationGracePeriodSeconds <= longestStop || *pod.EnableServiceLinks || *pod.AutomountServiceAccountToken {
		t.Errorf("%s", asText(pod))
	}
	if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser != 65532 || *s.FSGroup != 65532 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s", asText(s))
	}
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("%s", asText(s))
	}
	for path, probes := range map[string][]*core.Probe{"/livez": {c.StartupProbe, c.LivenessProbe}, "/readyz": {c.ReadinessProbe}} {
		for _, p := range probes {
			if p.HTTPGet.Path != path || p.HTTPGet.Port != intstr.FromString("admin") || p.HTTPGet.Scheme != core.URISchemeHTTPS {
				t.Errorf("%s", asText(p))
			}
		}
	}
	if c.Resources.Limits.Memory().Value() < 48<<20 {
		t.Errorf("a limit of %v, below which the relay does not start", c.Resources.Limits.Memory())
	}
}

// checkSelectors: services, policy, budget and workload mean these pods.
func (m *manifests) checkSelectors(t *testing.T, labels, own map[string]string) {
	t.Helper()
	selectors := []map[string]string{own}
	for _, s := range m.services {
		selectors = append(selectors, s.Spec.Selector)
	}
	for _, p := range m.policies {
		selectors = append(selectors, p.Spec.PodSelector.MatchLabels)
	}
	for _, b := range m.budgets {
		if b.Spec.Selector == nil {
			t.Fatal("the budget has no selector")
		}
		selectors = append(selectors, b.Spec.Selector.MatchLabels)
	}
	for _, selector := range selectors {
		if len(selector) == 0 {
			t.Error("a selector means all pods, or none")
		}
		for name, value := range selector {
			if labels[name] != value {
				t.Errorf("pods with %v are not selected by %v", labels, selector)
			}
		}
	}
	if len(m.services) != 2 {
		t.Errorf("%d services", len(m.services))
	}
}

// checkPolicy: posts come from anywhere, operators from some namespaces, and what goes out is
// names, Split and the database.
func (m *manifests) checkPolicy(t *testing.T, cluster bool) {
	t.Helper()
	if len(m.policies) != 1 {
		t.Fatalf("%d policies", len(m.policies))
	}
	spec, out := m.policies[0].Spec, []string{}
	for _, rule := range spec.Egress {
		for _, port := range rule.Ports {
			out = append(out, fmt.Sprint(port.Port, "/", *port.Protocol))
		}
	}
	want := []string{"53/UDP", "53/TCP", "443/TCP"}
	if cluster {
		want = append(want, "5432/TCP")
	}
	if !slices.Equal(out, want) || len(spec.PolicyTypes) != 2 {
		t.Errorf("out goes %v, want %v; %v", out, want, spec.PolicyTypes)
	}
	for _, rule := range spec.Ingress {
		switch port := rule.Ports[0].Port.String(); {
		case port == "https" && len(rule.From) == 0:
		case port == "admin" && len(rule.From) == 1 && rule.From[0].NamespaceSelector.MatchLabels["audiences-operators"] == "true":
		default:
			t.Errorf("%s", asText(rule))
		}
	}
}

// checkConfig: the configuration is the one that pods mount, all files that it and the
// environment name are mounted, and it is JSON but for comments and commas.
func (m *manifests) checkConfig(t *testing.T, pod core.PodSpec, cluster bool) {
	t.Helper()
	if len(m.configs) != 1 || m.configs[0].Name != pod.Volumes[0].ConfigMap.Name {
		t.Fatalf("%d configurations", len(m.configs))
	}
	text := m.configs[0].Data["audiences.config"]
	text = regexp.MustCompile(`(?m)^ *//.*$`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`,\s*}`).ReplaceAllString(text, "}")
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if _, shared := config["journalKeyFile"]; config["adminTls"] != true || config["adminAddress"] != "0.0.0.0:3010" || shared != cluster {
		t.Errorf("%v", config)
	}
	files := []string{config["keyFile"].(string)}
	for _, v := range pod.Containers[0].Env {
		if strings.HasSuffix(v.Name, "_FILE") {
			files = append(files, v.Value)
		}
	}
	for _, file := range files {
		if !slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m core.VolumeMount) bool {
			return m.Name == "secrets" && strings.HasPrefix(file, m.MountPath+"/")
		}) {
			t.Errorf("%s is not mounted", file)
		}
	}
}

// TestChartsValues: what the values offer is there when it is wanted.
func TestChartsValues(t *testing.T) {
	m := charted(t, map[string]any{
		"cluster": true, "replicas": 5, "secret": "own", "networkPolicy": false,
		"config":       map[string]any{"segmentsFlushRateInSeconds": 5, "tenantNames": map[string]any{"7f3a12bc90de": "acme"}},
		"env":          []any{map[string]any{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}},
		"image":        map[string]any{"repository": "registry.example.com/audiences", "tag": "1.2.3"},
		"nodeSelector": map[string]any{"disk": "fast"}, "podAnnotations": map[string]any{"team": "growth"},
		"tolerations": []any{map[string]any{"key": "relay", "operator": "Exists"}}, "imagePullSecrets": []any{map[string]any{"name": "pull"}},
		"service": map[string]any{"type": "LoadBalancer", "annotations": map[string]any{"lb": "layer4"}},
	})
	template := m.deployment[0].Spec.Template
	pod := template.Spec
	if *m.deployment[0].Spec.Replicas != 5 || pod.Volumes[1].Secret.SecretName != "own" || len(m.policies) != 0 ||
		pod.Containers[0].Image != "registry.example.com/audiences:1.2.3" || pod.NodeSelector["disk"] != "fast" || template.Annotations["team"] != "growth" ||
		len(pod.Tolerations) != 1 || len(pod.ImagePullSecrets) != 1 || pod.Containers[0].Env[len(pod.Containers[0].Env)-1].Name != "HTTPS_PROXY" {
		t.Errorf("%s", asText(template))
	}
	if text := m.configs[0].Data["audiences.config"]; !strings.Contains(text, `"segmentsFlushRateInSeconds": 5`) || !strings.Contains(text, `"acme"`) {
		t.Error(text)
	}
	if m.services[0].Spec.Type != core.ServiceTypeLoadBalancer && m.services[1].Spec.Type != core.ServiceTypeLoadBalancer {
		t.Error("no service is a load balancer")
	}
	if stored := charted(t, map[string]any{"storage": map[string]any{"size": "20Gi", "className": "fast"}}).stateful[0].Spec.VolumeClaimTemplates[0]; *stored.Spec.StorageClassName != "fast" {
		t.Errorf("%s", asText(stored))
	}
}
