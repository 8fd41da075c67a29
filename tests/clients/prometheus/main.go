// Prometheus' own service discovery, from `consul_sd_configs` as an operator writes it to the targets that its
// manager hands to the scraper, against an agent: one line per feature, "ok NAME" or "FAIL NAME: why".
// The agent's address is in CONSUL_HTTP_ADDR.
package main

import (
	"context"
	"log/slog"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v2"
)

const jobs = `
web:
  - server: ADDRESS
    services: [web]
    tags: [primary]
    refresh_interval: 1s
filtered:
  - server: ADDRESS
    filter: ServiceMeta.version == "1.2.3"
    refresh_interval: 1s
`

var (
	client *api.Client
	synced <-chan map[string][]*targetgroup.Group
)

func main() {
	var err error
	client, err = api.NewClient(api.DefaultConfig())
	must(err)
	var configs map[string][]*consul.SDConfig
	must(yaml.UnmarshalStrict([]byte(strings.ReplaceAll(jobs, "ADDRESS", os.Getenv("CONSUL_HTTP_ADDR"))), &configs))
	stop := start(configs)
	defer stop()
	feature("health", health)
	feature("filter", filter)
	feature("blocking", blocking)
	feature("deregister", deregister)
}

// start runs the manager as Prometheus does; what it finds comes through `synced`.
func start(configs map[string][]*consul.SDConfig) context.CancelFunc {
	running, stop := context.WithCancel(context.Background())
	registry := prometheus.NewRegistry()
	metrics, err := discovery.CreateAndRegisterSDMetrics(registry)
	must(err)
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	manager := discovery.NewManager(running, quiet, registry, metrics, discovery.Updatert(100*time.Millisecond))
	wanted := map[string]discovery.Configs{}
	for job, each := range configs {
		for _, config := range each {
			wanted[job] = append(wanted[job], config)
		}
	}
	must(manager.ApplyConfig(wanted))
	go func() { _ = manager.Run() }()
	synced = manager.SyncCh()
	return stop
}

// finds waits until the targets of a job are those at the addresses, in order, and gives their labels.
func finds(job string, addresses ...string) []model.LabelSet {
	deadline := time.Now().Add(patience)
	for {
		groups := within(time.Until(deadline), synced, strings.Join(addresses, " and "))
		var targets []model.LabelSet
		for _, group := range groups[job] {
			for _, target := range group.Targets {
				targets = append(targets, target.Merge(group.Labels))
			}
		}
		sort.Slice(targets, func(i, j int) bool { return targets[i]["__address__"] < targets[j]["__address__"] })
		var found []string
		for _, target := range targets {
			found = append(found, string(target["__address__"]))
		}
		if strings.Join(found, " ") == strings.Join(addresses, " ") {
			return targets
		}
	}
}

func register(id, address string) {
	must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: id, Name: "web", Address: address, Port: 9100, Tags: []string{"primary", "v1"},
		Meta:  map[string]string{"version": "1.2.3"},
		Check: &api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing},
	}))
}

func health() error {
	register("web-1", "10.0.0.1")
	labels := finds("web", "10.0.0.1:9100")[0]
	wanted := model.LabelSet{
		"__meta_consul_service":                  "web",
		"__meta_consul_service_id":               "web-1",
		"__meta_consul_tags":                     ",primary,v1,",
		"__meta_consul_service_metadata_version": "1.2.3",
		"__meta_consul_health":                   "passing",
	}
	for name, value := range wanted {
		want(labels[name] == value, "%s is %q", name, labels[name])
	}
	return nil
}

func filter() error {
	must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "other", Address: "10.0.0.9", Port: 9100}))
	register("web-2", "10.0.0.2")
	finds("filtered", "10.0.0.1:9100", "10.0.0.2:9100")
	must(client.Agent().ServiceDeregister("web-2"))
	finds("filtered", "10.0.0.1:9100")
	return nil
}

func blocking() error {
	register("web-3", "10.0.0.3")
	finds("web", "10.0.0.1:9100", "10.0.0.3:9100")
	return nil
}

func deregister() error {
	must(client.Agent().ServiceDeregister("web-1"))
	finds("web", "10.0.0.3:9100")
	return nil
}
