package main

import (
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

// start runs a plan; what its handler sees is in the channel, and the function stops it.
func start(parameters map[string]any) (<-chan any, func()) {
	plan, err := watch.Parse(parameters)
	must(err)
	seen := make(chan any, 100)
	plan.Handler = func(_ uint64, raw any) { seen <- raw }
	go func() { _ = plan.RunWithClientAndHclog(client, nil) }()
	return seen, plan.Stop
}

// until reads what a watch sees to the first that satisfies.
func until(seen <-chan any, what string, holds func(any) bool) {
	deadline := time.Now().Add(patience)
	for {
		if holds(within(time.Until(deadline), seen, what)) {
			return
		}
	}
}

func watches() error {
	service, stopService := start(map[string]any{"type": "service", "service": "web", "passingonly": true})
	defer stopService()
	services, stopServices := start(map[string]any{"type": "services"})
	defer stopServices()
	key, stopKey := start(map[string]any{"type": "key", "key": "watched"})
	defer stopKey()
	prefix, stopPrefix := start(map[string]any{"type": "keyprefix", "prefix": "watch"})
	defer stopPrefix()
	nodes, stopNodes := start(map[string]any{"type": "nodes"})
	defer stopNodes()
	checks, stopChecks := start(map[string]any{"type": "checks", "state": "passing"})
	defer stopChecks()

	until(nodes, "the nodes", func(raw any) bool { return len(raw.([]*api.Node)) == 1 })
	until(checks, "the checks", func(raw any) bool { return len(raw.([]*api.HealthCheck)) >= 1 })
	until(service, "one instance", func(raw any) bool { return len(raw.([]*api.ServiceEntry)) == 1 })
	until(services, "the services", func(raw any) bool { return raw.(map[string][]string)["web"] != nil })

	other := web("web-3")
	other.Check.Status = api.HealthPassing
	must(client.Agent().ServiceRegister(other))
	until(service, "two instances", func(raw any) bool { return len(raw.([]*api.ServiceEntry)) == 2 })
	put("watched", "yes")
	until(key, "the key", func(raw any) bool {
		pair, is := raw.(*api.KVPair)
		return is && pair != nil && string(pair.Value) == "yes"
	})
	until(prefix, "the key below the prefix", func(raw any) bool { return len(raw.(api.KVPairs)) == 1 })
	must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "new"}))
	until(services, "the new service", func(raw any) bool { return raw.(map[string][]string)["new"] != nil })
	must(client.Agent().ServiceDeregister("new"))
	must(client.Agent().ServiceDeregister("web-3"))
	until(service, "one instance again", func(raw any) bool { return len(raw.([]*api.ServiceEntry)) == 1 })
	return nil
}
