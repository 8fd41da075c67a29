// The npm package `consul` against an agent: one line per feature, "ok NAME" or "FAIL NAME: why".
// The agent's address is in CONSUL_HTTP_ADDR.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";

import Consul from "consul";

const [host, port] = process.env.CONSUL_HTTP_ADDR.split(":");
const consul = new Consul({ host, port: Number(port) });

const web = (id, status = "critical") => ({
  id,
  name: "web",
  address: "10.0.0.1",
  port: 8081,
  tags: ["primary", "v1"],
  meta: { version: "1.2.3" },
  check: { ttl: "1h", status },
});
const passing = async () => (await consul.health.service({ service: "web", passing: true })).length;
const nodeName = async () => (await consul.agent.self()).Config.NodeName;
const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

const features = {
  async register() {
    await consul.agent.service.register(web("web-1"));
    const { "web-1": found } = await consul.agent.service.list();
    assert.deepEqual([found.Service, found.Port, found.Tags], ["web", 8081, ["primary", "v1"]]);
    assert.deepEqual(found.Meta, { version: "1.2.3" });
  },

  async heartbeats() {
    assert.equal(await passing(), 0);
    await consul.agent.check.pass({ id: "service:web-1", note: "all well" });
    assert.equal(await passing(), 1);
    await consul.agent.check.warn("service:web-1");
    assert.equal(await passing(), 0);
    await consul.agent.check.fail("service:web-1");
    assert.equal((await consul.agent.check.list())["service:web-1"].Status, "critical");
    await consul.agent.check.pass("service:web-1");
  },

  async checks() {
    await consul.agent.check.register({ name: "disk", ttl: "1h", serviceid: "web-1" });
    await consul.agent.check.register({ name: "page", http: "http://127.0.0.1:1/", interval: "1h", timeout: "1s" });
    const found = await consul.agent.check.list();
    assert.equal(found.disk.ServiceName, "web");
    assert.ok(found.page);
    await consul.agent.check.deregister("disk");
    await consul.agent.check.deregister("page");
    assert.deepEqual(Object.keys(await consul.agent.check.list()), ["service:web-1"]);
  },

  async agent() {
    const members = await consul.agent.members();
    assert.deepEqual(members.map((each) => each.Name), [await nodeName()]);
    assert.deepEqual(await consul.status.peers(), [await consul.status.leader()]);
  },

  async catalog() {
    const name = await nodeName();
    assert.equal((await consul.catalog.datacenters()).length, 1);
    assert.deepEqual((await consul.catalog.node.list()).map((each) => each.Node), [name]);
    assert.deepEqual((await consul.catalog.service.list()).web, ["primary", "v1"]);
    assert.deepEqual((await consul.catalog.service.nodes("web")).map((each) => each.ServiceID), ["web-1"]);
    assert.ok((await consul.catalog.node.services(name)).Services["web-1"]);
  },

  async health() {
    const [found] = await consul.health.service({ service: "web", tag: "primary" });
    assert.equal(found.Service.Port, 8081);
    assert.equal((await consul.health.checks("web"))[0].Status, "passing");
    assert.equal((await consul.health.node(await nodeName())).length, 2);
    assert.equal((await consul.health.state("any")).length, 2);
  },

  async filter() {
    const filter = 'Service.Meta.version == "1.2.3"';
    assert.equal((await consul.health.service({ service: "web", filter })).length, 1);
    assert.equal((await consul.health.service({ service: "web", filter: "Service.Port == 1" })).length, 0);
  },

  async watches() {
    const watch = consul.watch({ method: consul.health.service, options: { service: "web", passing: true } });
    try {
      const [before] = await once(watch, "change", { signal: AbortSignal.timeout(15000) });
      assert.equal(before.length, 1);
      const change = once(watch, "change", { signal: AbortSignal.timeout(15000) });
      await consul.agent.service.register(web("web-2", "passing"));
      const [after] = await change;
      assert.equal(after.length, 2);
    } finally {
      watch.end();
    }
    await consul.agent.service.deregister("web-2");
  },

  async blocking() {
    // As the package's own watch does it: with a context the headers come back too.
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    const [{ headers }, before] = await consul.health.service({ service: "web", ctx });
    assert.equal(before.length, 1);
    const index = headers["x-consul-index"];
    const waiting = consul.health.service({ service: "web", index, wait: "20s", ctx });
    await consul.agent.service.register(web("web-3"));
    const began = Date.now();
    const [later, after] = await waiting;
    assert.ok(Date.now() - began < 15000);
    assert.equal(after.length, 2);
    assert.ok(Number(later.headers["x-consul-index"]) > Number(index));
    await consul.agent.service.deregister("web-3");
  },

  async maintenance() {
    await consul.agent.service.maintenance({ id: "web-1", enable: true, reason: "upgrade" });
    assert.equal(await passing(), 0);
    await consul.agent.service.maintenance({ id: "web-1", enable: false });
    await consul.agent.maintenance({ enable: true, reason: "reboot" });
    assert.equal(await passing(), 0);
    await consul.agent.maintenance(false);
    assert.equal(await passing(), 1);
  },

  async kv() {
    assert.equal(await consul.kv.set({ key: "app/a b", value: "1 ü", flags: 42 }), true);
    await consul.kv.set("app/b/c", "2");
    const found = await consul.kv.get("app/a b");
    assert.deepEqual([found.Value, found.Flags], ["1 ü", 42]);
    assert.deepEqual(await consul.kv.keys({ key: "app/", separator: "/" }), ["app/a b", "app/b/"]);
    assert.equal((await consul.kv.get({ key: "app/", recurse: true })).length, 2);
    assert.equal(await consul.kv.set({ key: "app/a b", value: "3", cas: found.ModifyIndex }), true);
    // A refused write is `false` on the wire; this package gives undefined for it.
    assert.ok(!(await consul.kv.set({ key: "app/a b", value: "4", cas: found.ModifyIndex })));
    await consul.kv.del({ key: "app/", recurse: true });
    assert.equal(await consul.kv.get("app/a b"), undefined);
  },

  async "kv blocking"() {
    await consul.kv.set("watched", "1");
    const watch = consul.watch({ method: consul.kv.get, options: { key: "watched" } });
    try {
      await once(watch, "change", { signal: AbortSignal.timeout(15000) });
      const change = once(watch, "change", { signal: AbortSignal.timeout(15000) });
      await consul.kv.set("watched", "2");
      assert.equal((await change)[0].Value, "2");
    } finally {
      watch.end();
    }
  },

  async transactions() {
    const value = Buffer.from("1").toString("base64");
    const done = await consul.transaction.create([
      { KV: { Verb: "set", Key: "txn/a", Value: value } },
      { KV: { Verb: "get", Key: "txn/a" } },
    ]);
    assert.equal(done.Results[1].KV.Value, value);
    const stale = [{ KV: { Verb: "check-index", Key: "txn/a", Index: 1 } }];
    await assert.rejects(consul.transaction.create(stale), (error) => error.response.statusCode === 409);
  },

  async sessions() {
    const { ID: id } = await consul.session.create({ name: "s", ttl: "10s", behavior: "delete", lockdelay: "1ms" });
    const [info] = [await consul.session.get(id)].flat();
    assert.deepEqual([info.Name, info.TTL], ["s", "10s"]);
    assert.equal((await consul.session.renew(id))[0].ID, id);
    assert.equal((await consul.session.list()).length, 1);
    assert.equal((await consul.session.node(await nodeName())).length, 1);
    await consul.session.destroy(id);
    assert.equal((await consul.session.list()).length, 0);
  },

  async locks() {
    const first = await consul.session.create({ ttl: "10s", lockdelay: "1ms" });
    const second = await consul.session.create({ ttl: "10s", lockdelay: "1ms" });
    assert.equal(await consul.kv.set({ key: "lock", value: "1", acquire: first.ID }), true);
    assert.ok(!(await consul.kv.set({ key: "lock", value: "2", acquire: second.ID })));
    assert.equal((await consul.kv.get("lock")).Session, first.ID);
    assert.equal(await consul.kv.set({ key: "lock", value: "1", release: first.ID }), true);
    assert.equal(await consul.kv.set({ key: "lock", value: "2", acquire: second.ID }), true);
    await consul.session.destroy(first.ID);
    await consul.session.destroy(second.ID);
    assert.equal((await consul.kv.get("lock")).Session, undefined);
  },

  async events() {
    const fired = await consul.event.fire("deploy", "v2");
    for (let tries = 0; tries < 200; tries++) {
      const [found] = await consul.event.list("deploy");
      if (found) {
        assert.deepEqual([found.ID, found.Payload], [fired.ID, "v2"]);
        return;
      }
      await pause(20);
    }
    assert.fail("the event is not listed");
  },

  async "prepared queries"() {
    const definition = { name: "web-primary", service: { service: "web", onlypassing: true, tags: ["primary"] } };
    const { ID: query } = await consul.query.create(definition);
    assert.equal((await consul.query.execute("web-primary")).Nodes.length, 1);
    assert.equal((await consul.query.get(query)).Name, "web-primary");
    await consul.query.update({ ...definition, query, service: { ...definition.service, tags: ["v2"] } });
    assert.equal((await consul.query.execute(query)).Nodes.length, 0);
    assert.equal((await consul.query.list()).length, 1);
    await consul.query.destroy(query);
    assert.equal((await consul.query.list()).length, 0);
  },

  async errors() {
    const status = (wanted) => (error) => error.response.statusCode === wanted;
    await assert.rejects(consul.agent.check.pass("nowhere"), status(404));
    await assert.rejects(consul.agent.service.register({ name: "web", port: 70000 }), status(400));
    await assert.rejects(consul.health.service({ service: "web", filter: "==" }), status(400));
  },

  async deregister() {
    await consul.agent.service.deregister("web-1");
    assert.deepEqual(await consul.agent.service.list(), {});
    assert.deepEqual(await consul.health.service("web"), []);
  },
};

for (const [name, run] of Object.entries(features)) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message.split(/\s+/).join(" ")}`);
  }
}
