// The official Go client of Consul against an agent: one line per feature, "ok NAME" or "FAIL NAME: why".
// The agent's address is in CONSUL_HTTP_ADDR, where this client looks for it by itself.
package main

import (
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

var client *api.Client

func main() {
	var err error
	client, err = api.NewClient(api.DefaultConfig())
	must(err)
	feature("register", register)
	feature("heartbeats", heartbeats)
	feature("checks", checks)
	feature("agent", agent)
	feature("catalog", catalog)
	feature("catalog writes", catalogWrites)
	feature("health", health)
	feature("filter", filter)
	feature("blocking", blocking)
	feature("watches", watches)
	feature("maintenance", maintenance)
	feature("kv", kv)
	feature("kv blocking", kvBlocking)
	feature("transactions", transactions)
	feature("sessions", sessions)
	feature("locks", locks)
	feature("semaphores", semaphores)
	feature("events", events)
	feature("prepared queries", queries)
	feature("coordinates", coordinates)
	feature("config entries", configEntries)
	feature("snapshots", snapshots)
	feature("errors", mistakes)
	feature("deregister", deregister)
}

func web(id string) *api.AgentServiceRegistration {
	return &api.AgentServiceRegistration{
		ID: id, Name: "web", Address: "10.0.0.1", Port: 8081,
		Tags: []string{"primary", "v1"}, Meta: map[string]string{"version": "1.2.3"},
		Weights: &api.AgentWeights{Passing: 7, Warning: 2},
		Check:   &api.AgentServiceCheck{CheckID: id + "-ttl", TTL: "1h"},
	}
}

func register() error {
	must(client.Agent().ServiceRegister(web("web-1")))
	must(client.Agent().ServiceRegisterOpts(web("web-1"), api.ServiceRegisterOpts{ReplaceExistingChecks: true}))
	services, err := client.Agent().Services()
	must(err)
	found := services["web-1"]
	want(found != nil && found.Port == 8081 && found.Weights.Passing == 7 && found.Meta["version"] == "1.2.3",
		"the agent has %+v", found)
	one, _, err := client.Agent().Service("web-1", nil)
	must(err)
	want(one.ContentHash != "" && one.Service == "web", "agent/service has %+v", one)
	return nil
}

func passing() int {
	found, _, err := client.Health().Service("web", "", true, nil)
	must(err)
	return len(found)
}

func heartbeats() error {
	want(passing() == 0, "it passes before its first heartbeat")
	must(client.Agent().UpdateTTL("web-1-ttl", "all well", api.HealthPassing))
	want(passing() == 1, "it does not pass after a heartbeat")
	must(client.Agent().WarnTTL("web-1-ttl", "slow"))
	want(passing() == 0, "it passes with a warning")
	must(client.Agent().FailTTL("web-1-ttl", "away"))
	status, service, err := client.Agent().AgentHealthServiceByID("web-1")
	must(err)
	want(status == api.HealthCritical && service.Service.ID == "web-1", "health by id is %s", status)
	must(client.Agent().PassTTL("web-1-ttl", "all well"))
	status, all, err := client.Agent().AgentHealthServiceByName("web")
	must(err)
	want(status == api.HealthPassing && len(all) == 1, "health by name is %s of %d", status, len(all))
	return nil
}

func checks() error {
	must(client.Agent().CheckRegister(&api.AgentCheckRegistration{
		ID: "disk", Name: "disk", ServiceID: "web-1", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h", Status: "passing"},
	}))
	must(client.Agent().CheckRegister(&api.AgentCheckRegistration{
		Name: "port", AgentServiceCheck: api.AgentServiceCheck{TCP: "127.0.0.1:1", Interval: "1h", Timeout: "1s"},
	}))
	found, err := client.Agent().Checks()
	must(err)
	want(found["disk"].ServiceName == "web" && found["port"] != nil, "the agent has %v", found)
	must(client.Agent().CheckDeregister("disk"))
	must(client.Agent().CheckDeregister("port"))
	found, err = client.Agent().Checks()
	must(err)
	want(found["disk"] == nil && found["port"] == nil, "the agent still has %v", found)
	return nil
}

func agent() error {
	self, err := client.Agent().Self()
	must(err)
	name, err := client.Agent().NodeName()
	must(err)
	want(self["Config"]["NodeName"] == name && name != "", "the node is %q", name)
	members, err := client.Agent().Members(false)
	must(err)
	want(len(members) == 1 && members[0].Name == name, "the members are %v", members)
	_, err = client.Agent().Metrics()
	must(err)
	leader, err := client.Status().Leader()
	must(err)
	peers, err := client.Status().Peers()
	must(err)
	want(leader != "" && len(peers) == 1 && peers[0] == leader, "leader %q of %v", leader, peers)
	return nil
}

func catalog() error {
	name, err := client.Agent().NodeName()
	must(err)
	centers, err := client.Catalog().Datacenters()
	must(err)
	want(len(centers) == 1, "datacenters %v", centers)
	nodes, _, err := client.Catalog().Nodes(nil)
	must(err)
	want(len(nodes) == 1 && nodes[0].Node == name, "nodes %v", nodes)
	services, _, err := client.Catalog().Services(nil)
	must(err)
	want(strings.Join(services["web"], " ") == "primary v1", "services %v", services)
	tagged, _, err := client.Catalog().Service("web", "primary", nil)
	must(err)
	want(len(tagged) == 1 && tagged[0].ServiceID == "web-1" && tagged[0].ServiceWeights.Passing == 7, "service %v", tagged)
	node, _, err := client.Catalog().Node(name, nil)
	must(err)
	want(node.Services["web-1"] != nil, "node %v", node)
	list, _, err := client.Catalog().NodeServiceList(name, nil)
	must(err)
	want(len(list.Services) >= 1, "node-services %v", list)
	return nil
}

func catalogWrites() error {
	_, err := client.Catalog().Register(&api.CatalogRegistration{
		Node: "db-1", Address: "10.1.0.1", NodeMeta: map[string]string{"external-node": "true"},
		Service: &api.AgentService{ID: "db", Service: "db", Port: 5432},
		Check:   &api.AgentCheck{Node: "db-1", CheckID: "db-up", Name: "db", Status: "passing", ServiceID: "db"},
	}, nil)
	must(err)
	found, _, err := client.Health().Service("db", "", true, nil)
	must(err)
	want(len(found) == 1 && found[0].Node.Address == "10.1.0.1", "health %v", found)
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "db-1"}, nil)
	must(err)
	found, _, err = client.Health().Service("db", "", false, nil)
	must(err)
	want(len(found) == 0, "after deregistering: %v", found)
	return nil
}

func health() error {
	name, err := client.Agent().NodeName()
	must(err)
	found, _, err := client.Health().ServiceMultipleTags("web", []string{"primary", "v1"}, true, nil)
	must(err)
	want(len(found) == 1 && found[0].Checks.AggregatedStatus() == api.HealthPassing, "service %v", found)
	checks, _, err := client.Health().Checks("web", nil)
	must(err)
	want(len(checks) == 1 && checks[0].Output == "all well", "checks %v", checks)
	checks, _, err = client.Health().Node(name, nil)
	must(err)
	want(len(checks) >= 2, "node %v", checks)
	checks, meta, err := client.Health().State(api.HealthAny, &api.QueryOptions{AllowStale: true})
	must(err)
	want(len(checks) >= 2 && meta.KnownLeader && meta.LastIndex > 0, "state %v %+v", checks, meta)
	return nil
}

func filter() error {
	options := &api.QueryOptions{Filter: `Service.Meta.version == "1.2.3" and "v1" in Service.Tags`}
	found, _, err := client.Health().Service("web", "", false, options)
	must(err)
	want(len(found) == 1, "it finds %v", found)
	none, err := client.Agent().ServicesWithFilter(`Port == 1`)
	must(err)
	want(len(none) == 0, "it finds %v", none)
	return nil
}

func blocking() error {
	_, meta, err := client.Health().Service("web", "", true, nil)
	must(err)
	type answer struct {
		found []*api.ServiceEntry
		meta  *api.QueryMeta
	}
	answers := make(chan answer, 1)
	go func() {
		options := &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 20 * time.Second}
		found, newer, _ := client.Health().Service("web", "", true, options)
		answers <- answer{found, newer}
	}()
	second := web("web-2")
	second.Check.Status = api.HealthPassing
	must(client.Agent().ServiceRegister(second))
	got := within(patience, answers, "the change")
	want(len(got.found) == 2 && got.meta.LastIndex > meta.LastIndex, "it returned with %v", got.found)
	began := time.Now()
	options := &api.QueryOptions{WaitIndex: got.meta.LastIndex, WaitTime: 200 * time.Millisecond}
	_, same, err := client.Health().Service("web", "", true, options)
	must(err)
	want(time.Since(began) >= 200*time.Millisecond && same.LastIndex == got.meta.LastIndex, "it did not wait")
	must(client.Agent().ServiceDeregister("web-2"))
	return nil
}

func maintenance() error {
	must(client.Agent().EnableServiceMaintenance("web-1", "upgrade"))
	want(passing() == 0, "it passes in maintenance")
	must(client.Agent().DisableServiceMaintenance("web-1"))
	must(client.Agent().EnableNodeMaintenance("reboot"))
	want(passing() == 0, "it passes on a node in maintenance")
	must(client.Agent().DisableNodeMaintenance())
	want(passing() == 1, "it does not pass after maintenance")
	return nil
}

func coordinates() error {
	name, err := client.Agent().NodeName()
	must(err)
	centers, err := client.Coordinate().Datacenters()
	must(err)
	want(len(centers) >= 1, "datacenters %v", centers)
	zero := &api.CoordinateEntry{Node: name, Coord: centers[0].Coordinates[0].Coord}
	_, err = client.Coordinate().Update(zero, nil)
	must(err)
	nodes, _, err := client.Coordinate().Nodes(nil)
	must(err)
	want(len(nodes) <= 1, "nodes %v", nodes)
	return nil
}

func mistakes() error {
	err := client.Agent().ServiceRegister(&api.AgentServiceRegistration{})
	var status api.StatusError
	want(errors.As(err, &status) && status.Code == 400 && strings.Contains(status.Body, "Missing service name"),
		"registering without a name gives %v", err)
	err = client.Agent().UpdateTTL("nowhere", "", api.HealthPassing)
	want(errors.As(err, &status) && status.Code == 404, "a heartbeat of nobody gives %v", err)
	_, _, err = client.Health().Service("web", "", false, &api.QueryOptions{Filter: "=="})
	want(errors.As(err, &status) && status.Code == 400, "a wrong filter gives %v", err)
	return nil
}

func deregister() error {
	must(client.Agent().ServiceDeregister("web-1"))
	services, err := client.Agent().Services()
	must(err)
	want(len(services) == 0, "the agent still has %v", services)
	found, _, err := client.Health().Service("web", "", false, nil)
	must(err)
	want(len(found) == 0, "health still has %v", found)
	return nil
}
