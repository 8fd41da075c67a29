// Ecwid's consul-api, the client below Spring Cloud Consul, against an agent: one line per feature,
// "ok NAME" or "FAIL NAME: why". The agent's address is in CONSUL_HTTP_ADDR.

import com.ecwid.consul.v1.ConsulClient;
import com.ecwid.consul.v1.OperationException;
import com.ecwid.consul.v1.QueryParams;
import com.ecwid.consul.v1.Response;
import com.ecwid.consul.v1.agent.model.NewCheck;
import com.ecwid.consul.v1.agent.model.NewService;
import com.ecwid.consul.v1.catalog.CatalogServicesRequest;
import com.ecwid.consul.v1.catalog.model.CatalogDeregistration;
import com.ecwid.consul.v1.catalog.model.CatalogRegistration;
import com.ecwid.consul.v1.event.EventListRequest;
import com.ecwid.consul.v1.event.model.Event;
import com.ecwid.consul.v1.event.model.EventParams;
import com.ecwid.consul.v1.health.HealthServicesRequest;
import com.ecwid.consul.v1.health.model.Check;
import com.ecwid.consul.v1.health.model.HealthService;
import com.ecwid.consul.v1.kv.model.GetValue;
import com.ecwid.consul.v1.kv.model.PutParams;
import com.ecwid.consul.v1.session.model.NewSession;
import com.ecwid.consul.v1.session.model.Session;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

public class Main {
    interface Feature {
        void run() throws Exception;
    }

    static final String ADDRESS = System.getenv("CONSUL_HTTP_ADDR");
    static final String HOST = ADDRESS.substring(0, ADDRESS.lastIndexOf(':'));
    static final int PORT = Integer.parseInt(ADDRESS.substring(ADDRESS.lastIndexOf(':') + 1));
    static final ConsulClient client = new ConsulClient(HOST, PORT);

    public static void main(String[] arguments) {
        feature("register", Main::register);
        feature("heartbeats", Main::heartbeats);
        feature("checks", Main::checks);
        feature("agent", Main::agent);
        feature("catalog", Main::catalog);
        feature("catalog writes", Main::catalogWrites);
        feature("health", Main::health);
        feature("blocking", Main::blocking);
        feature("maintenance", Main::maintenance);
        feature("kv", Main::kv);
        feature("kv blocking", Main::kvBlocking);
        feature("sessions", Main::sessions);
        feature("locks", Main::locks);
        feature("events", Main::events);
        feature("coordinates", Main::coordinates);
        feature("errors", Main::errors);
        feature("deregister", Main::deregister);
    }

    static void feature(String name, Feature feature) {
        try {
            feature.run();
            System.out.println("ok " + name);
        } catch (Exception | AssertionError fault) {
            System.out.println("FAIL " + name + ": " + String.join(" ", fault.toString().split("\\s+")));
        }
    }

    static void want(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(String.valueOf(what));
        }
    }

    static NewService web(String id) {
        NewService service = new NewService();
        service.setId(id);
        service.setName("web");
        service.setAddress("10.0.0.1");
        service.setPort(8081);
        service.setTags(List.of("primary", "v1"));
        service.setMeta(Map.of("version", "1.2.3"));
        NewService.Check check = new NewService.Check();
        check.setTtl("1h");
        service.setCheck(check);
        return service;
    }

    static String nodeName() {
        return client.getAgentSelf().getValue().getConfig().getNodeName();
    }

    static Response<List<HealthService>> instances(boolean passing, QueryParams parameters) {
        HealthServicesRequest request =
                HealthServicesRequest.newBuilder().setPassing(passing).setQueryParams(parameters).build();
        return client.getHealthServices("web", request);
    }

    static int passing() {
        return instances(true, QueryParams.DEFAULT).getValue().size();
    }

    static void register() {
        client.agentServiceRegister(web("web-1"));
        var found = client.getAgentServices().getValue().get("web-1");
        want(found.getPort() == 8081 && found.getTags().equals(List.of("primary", "v1")), found);
        want(found.getMeta().equals(Map.of("version", "1.2.3")), found);
    }

    static void heartbeats() {
        want(passing() == 0, "it passes before its first heartbeat");
        client.agentCheckPass("service:web-1", "all well");
        want(passing() == 1, "it does not pass after a heartbeat");
        client.agentCheckWarn("service:web-1");
        want(passing() == 0, "it passes with a warning");
        client.agentCheckFail("service:web-1");
        var status = client.getAgentChecks().getValue().get("service:web-1").getStatus();
        want(status.name().equals("CRITICAL"), status);
        client.agentCheckPass("service:web-1", "all well");
    }

    static void checks() {
        NewCheck disk = new NewCheck();
        disk.setId("disk");
        disk.setName("disk");
        disk.setServiceId("web-1");
        disk.setTtl("1h");
        client.agentCheckRegister(disk);
        NewCheck page = new NewCheck();
        page.setName("page");
        page.setHttp("http://127.0.0.1:1/");
        page.setInterval("1h");
        page.setTimeout("1s");
        client.agentCheckRegister(page);
        var found = client.getAgentChecks().getValue();
        want(found.get("disk").getServiceName().equals("web") && found.containsKey("page"), found);
        client.agentCheckDeregister("disk");
        client.agentCheckDeregister("page");
        want(client.getAgentChecks().getValue().size() == 1, "they are still there");
    }

    static void agent() {
        var members = client.getAgentMembers().getValue();
        want(members.size() == 1 && members.get(0).getName().equals(nodeName()), members);
        String leader = client.getStatusLeader().getValue();
        want(client.getStatusPeers().getValue().equals(List.of(leader)), leader);
    }

    static void catalog() {
        want(client.getCatalogDatacenters().getValue().size() == 1, "datacenters");
        var nodes = client.getCatalogNodes(QueryParams.DEFAULT).getValue();
        want(nodes.size() == 1 && nodes.get(0).getNode().equals(nodeName()), nodes);
        var services = client.getCatalogServices(CatalogServicesRequest.newBuilder().build()).getValue();
        want(services.get("web").equals(List.of("primary", "v1")), services);
        var found = client.getCatalogService("web", "primary", QueryParams.DEFAULT).getValue();
        want(found.size() == 1 && found.get(0).getServiceId().equals("web-1"), found);
        var node = client.getCatalogNode(nodeName(), QueryParams.DEFAULT).getValue();
        want(node.getServices().containsKey("web-1"), node);
    }

    static void catalogWrites() {
        CatalogRegistration registration = new CatalogRegistration();
        registration.setNode("db-1");
        registration.setAddress("10.1.0.1");
        CatalogRegistration.Service service = new CatalogRegistration.Service();
        service.setService("db");
        service.setPort(5432);
        registration.setService(service);
        CatalogRegistration.Check check = new CatalogRegistration.Check();
        check.setNode("db-1");
        check.setCheckId("db-up");
        check.setName("db");
        check.setServiceId("db");
        check.setStatus(CatalogRegistration.CheckStatus.PASSING);
        registration.setCheck(check);
        client.catalogRegister(registration);
        var checks = client.getHealthChecksForNode("db-1", QueryParams.DEFAULT).getValue();
        want(checks.size() == 1 && checks.get(0).getStatus() == Check.CheckStatus.PASSING, checks);
        CatalogDeregistration deregistration = new CatalogDeregistration();
        deregistration.setNode("db-1");
        client.catalogDeregister(deregistration);
        want(client.getCatalogService("db", QueryParams.DEFAULT).getValue().isEmpty(), "it is still there");
    }

    static void health() {
        var found = client.getHealthServices("web", "primary", true, QueryParams.DEFAULT).getValue();
        want(found.size() == 1 && found.get(0).getService().getPort() == 8081, found);
        var checks = client.getHealthChecksForService("web", QueryParams.DEFAULT).getValue();
        want(checks.size() == 1 && checks.get(0).getOutput().equals("all well"), checks);
        want(client.getHealthChecksForNode(nodeName(), QueryParams.DEFAULT).getValue().size() == 2, "of the node");
        want(client.getHealthChecksState(Check.CheckStatus.PASSING, QueryParams.DEFAULT).getValue().size() == 2, "passing");
    }

    static void blocking() throws Exception {
        var before = instances(false, QueryParams.DEFAULT);
        QueryParams newer = new QueryParams(20, before.getConsulIndex());
        var waiting = CompletableFuture.supplyAsync(() -> new ConsulClient(HOST, PORT)
                .getHealthServices("web", HealthServicesRequest.newBuilder().setQueryParams(newer).build()));
        client.agentServiceRegister(web("web-2"));
        var after = waiting.get(15, TimeUnit.SECONDS);
        want(after.getValue().size() == 2 && after.getConsulIndex() > before.getConsulIndex(), after);
        client.agentServiceDeregister("web-2");
        namesBlocking();
    }

    // As the catalog watch of Spring Cloud Consul does it.
    static void namesBlocking() throws Exception {
        var before = client.getCatalogServices(CatalogServicesRequest.newBuilder().build());
        QueryParams newer = new QueryParams(20, before.getConsulIndex());
        var waiting = CompletableFuture.supplyAsync(() -> new ConsulClient(HOST, PORT)
                .getCatalogServices(CatalogServicesRequest.newBuilder().setQueryParams(newer).build()));
        NewService other = new NewService();
        other.setName("other");
        client.agentServiceRegister(other);
        want(waiting.get(15, TimeUnit.SECONDS).getValue().containsKey("other"), "the new service is not seen");
        client.agentServiceDeregister("other");
    }

    static void maintenance() {
        client.agentServiceSetMaintenance("web-1", true, "upgrade");
        want(passing() == 0, "it passes in maintenance");
        client.agentServiceSetMaintenance("web-1", false);
        client.agentSetMaintenance(true, "reboot");
        want(passing() == 0, "it passes on a node in maintenance");
        client.agentSetMaintenance(false);
        want(passing() == 1, "it does not pass after maintenance");
    }

    static void kv() {
        PutParams flags = new PutParams();
        flags.setFlags(42);
        client.setKVValue("app/a", "1 ü", flags);
        client.setKVValue("app/b/c", "2");
        GetValue found = client.getKVValue("app/a").getValue();
        want(found.getDecodedValue().equals("1 ü") && found.getFlags() == 42, found);
        want(client.getKVValues("app/").getValue().size() == 2, "recurse");
        want(client.getKVKeysOnly("app/", "/", null).getValue().equals(List.of("app/a", "app/b/")), "keys");
        want(client.getKVBinaryValue("app/b/c").getValue().getValue().length == 1, "binary");
        PutParams cas = new PutParams();
        cas.setCas(found.getModifyIndex());
        want(client.setKVValue("app/a", "3", cas).getValue(), "cas");
        want(!client.setKVValue("app/a", "4", cas).getValue(), "a stale index is written");
        client.deleteKVValues("app/");
        want(client.getKVValue("app/a").getValue() == null, "it is still there");
    }

    // As Spring Cloud Consul's configuration watch does it.
    static void kvBlocking() throws Exception {
        client.setKVValue("config/app/a", "1");
        var before = client.getKVValues("config/app/");
        QueryParams newer = new QueryParams(20, before.getConsulIndex());
        var waiting = CompletableFuture.supplyAsync(() -> new ConsulClient(HOST, PORT).getKVValues("config/app/", newer));
        client.setKVValue("config/app/a", "2");
        var after = waiting.get(15, TimeUnit.SECONDS);
        want(after.getValue().get(0).getDecodedValue().equals("2"), after);
    }

    static String session() {
        NewSession session = new NewSession();
        session.setName("s");
        session.setTtl("10s");
        session.setBehavior(Session.Behavior.RELEASE);
        return client.sessionCreate(session, QueryParams.DEFAULT).getValue();
    }

    static void sessions() {
        String id = session();
        var info = client.getSessionInfo(id, QueryParams.DEFAULT).getValue();
        want(info.getName().equals("s") && info.getTtl().equals("10s"), info);
        want(client.renewSession(id, QueryParams.DEFAULT).getValue().getId().equals(id), "renew");
        want(client.getSessionList(QueryParams.DEFAULT).getValue().size() == 1, "list");
        want(client.getSessionNode(nodeName(), QueryParams.DEFAULT).getValue().size() == 1, "node");
        client.sessionDestroy(id, QueryParams.DEFAULT);
        want(client.getSessionInfo(id, QueryParams.DEFAULT).getValue() == null, "it is still there");
    }

    static boolean lock(String session, boolean acquires) {
        PutParams parameters = new PutParams();
        if (acquires) {
            parameters.setAcquireSession(session);
        } else {
            parameters.setReleaseSession(session);
        }
        return client.setKVValue("lock", session, parameters).getValue();
    }

    static void locks() {
        String first = session();
        String second = session();
        want(lock(first, true) && !lock(second, true), "two hold one lock");
        want(client.getKVValue("lock").getValue().getSession().equals(first), "the holder");
        want(lock(first, false) && lock(second, true), "a lock given back is not given");
        client.sessionDestroy(first, QueryParams.DEFAULT);
        client.sessionDestroy(second, QueryParams.DEFAULT);
        want(client.getKVValue("lock").getValue().getSession() == null, "the lock outlives its session");
    }

    static void events() throws Exception {
        Event fired = client.eventFire("deploy", "v2", new EventParams(), QueryParams.DEFAULT).getValue();
        EventListRequest deploys = EventListRequest.newBuilder().setName("deploy").build();
        for (int tries = 0; tries < 200; tries++) {
            List<Event> found = client.eventList(deploys).getValue();
            if (!found.isEmpty()) {
                String payload = new String(Base64.getDecoder().decode(found.get(0).getPayload()));
                want(found.get(0).getId().equals(fired.getId()) && payload.equals("v2"), found);
                return;
            }
            Thread.sleep(20);
        }
        throw new AssertionError("the event is not listed");
    }

    static void coordinates() {
        var centers = client.getDatacenters().getValue();
        want(centers.size() == 1, centers);
        want(client.getNodes(QueryParams.DEFAULT).getValue().size() <= 1, "nodes");
    }

    static int status(Feature mistake) throws Exception {
        try {
            mistake.run();
            return 200;
        } catch (OperationException refusal) {
            return refusal.getStatusCode();
        }
    }

    static void errors() throws Exception {
        want(status(() -> client.agentServiceRegister(new NewService())) == 400, "a service without a name");
        want(status(() -> client.agentCheckPass("nowhere")) == 404, "a heartbeat of nobody");
    }

    static void deregister() {
        client.agentServiceDeregister("web-1");
        want(client.getAgentServices().getValue().isEmpty(), "the agent still has it");
        want(instances(false, QueryParams.DEFAULT).getValue().isEmpty(), "health still has it");
    }
}
