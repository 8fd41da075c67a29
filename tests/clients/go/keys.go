package main

import (
	"bytes"
	"io"
	"time"

	"github.com/hashicorp/consul/api"
)

func put(key, value string) {
	_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte(value), Flags: 42}, nil)
	must(err)
}

func kv() error {
	put("app/a", "1")
	put("app/b/c", "2")
	pair, _, err := client.KV().Get("app/a", nil)
	must(err)
	want(string(pair.Value) == "1" && pair.Flags == 42, "get %+v", pair)
	list, _, err := client.KV().List("app/", nil)
	must(err)
	keys, _, err := client.KV().Keys("app/", "/", nil)
	must(err)
	want(len(list) == 2 && len(keys) == 2 && keys[1] == "app/b/", "list %v keys %v", list, keys)
	pair.Value = []byte("3")
	done, _, err := client.KV().CAS(pair, nil)
	must(err)
	again, _, err := client.KV().CAS(pair, nil)
	must(err)
	want(done && !again, "cas %v, then %v", done, again)
	done, _, err = client.KV().DeleteCAS(pair, nil)
	must(err)
	want(!done, "a delete with an old index succeeds")
	_, err = client.KV().DeleteTree("app/", nil)
	must(err)
	gone, _, err := client.KV().Get("app/a", nil)
	must(err)
	want(gone == nil, "still there: %v", gone)
	return nil
}

func kvBlocking() error {
	put("wait/a", "1")
	_, meta, err := client.KV().List("wait/", nil)
	must(err)
	answers := make(chan api.KVPairs, 1)
	go func() {
		list, _, _ := client.KV().List("wait/", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 20 * time.Second})
		answers <- list
	}()
	put("wait/b", "2")
	list := within(patience, answers, "the change")
	want(len(list) == 2, "it returned with %v", list)
	return nil
}

func transactions() error {
	done, answer, _, err := client.KV().Txn(api.KVTxnOps{
		{Verb: api.KVSet, Key: "txn/a", Value: []byte("1")},
		{Verb: api.KVGet, Key: "txn/a"},
	}, nil)
	must(err)
	want(done && len(answer.Results) == 2 && string(answer.Results[1].Value) == "1", "txn %v %+v", done, answer)
	done, answer, _, err = client.KV().Txn(api.KVTxnOps{
		{Verb: api.KVSet, Key: "txn/b", Value: []byte("1")},
		{Verb: api.KVCheckIndex, Key: "txn/a", Index: 1},
	}, nil)
	must(err)
	want(!done && len(answer.Errors) == 1 && answer.Errors[0].OpIndex == 1, "a stale index gives %v %+v", done, answer)
	gone, _, err := client.KV().Get("txn/b", nil)
	must(err)
	want(gone == nil, "half of a transaction was made")
	done, _, _, err = client.Txn().Txn(api.TxnOps{
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: "txn-node", Address: "10.2.0.1"}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: "txn-node", Service: api.AgentService{ID: "s", Service: "s"}}},
	}, nil)
	must(err)
	want(done, "a transaction on the catalog is refused")
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "txn-node"}, nil)
	must(err)
	return nil
}

func sessions() error {
	entry := &api.SessionEntry{Name: "s", TTL: "10s", Behavior: api.SessionBehaviorDelete, LockDelay: time.Millisecond}
	id, _, err := client.Session().Create(entry, nil)
	must(err)
	info, _, err := client.Session().Info(id, nil)
	must(err)
	want(info.Name == "s" && info.TTL == "10s" && info.Behavior == "delete", "info %+v", info)
	renewed, _, err := client.Session().Renew(id, nil)
	must(err)
	listed, _, err := client.Session().List(nil)
	must(err)
	onNode, _, err := client.Session().Node(info.Node, nil)
	must(err)
	want(renewed.ID == id && len(listed) == 1 && len(onNode) == 1, "renew %+v list %v node %v", renewed, listed, onNode)
	held, _, err := client.KV().Acquire(&api.KVPair{Key: "held", Session: id}, nil)
	must(err)
	want(held, "the key is not acquired")
	_, err = client.Session().Destroy(id, nil)
	must(err)
	gone, _, err := client.KV().Get("held", nil)
	must(err)
	want(gone == nil, "the key outlives its session: %+v", gone)
	renewed, _, err = client.Session().Renew(id, nil)
	must(err)
	want(renewed == nil, "a destroyed session is renewed: %+v", renewed)
	return nil
}

func locks() error {
	first, err := client.LockOpts(&api.LockOptions{Key: "lock", SessionTTL: "10s", LockDelay: time.Millisecond})
	must(err)
	lost, err := first.Lock(nil)
	must(err)
	second, err := client.LockOpts(&api.LockOptions{Key: "lock", SessionTTL: "10s", LockTryOnce: true, LockWaitTime: 200 * time.Millisecond})
	must(err)
	none, err := second.Lock(nil)
	must(err)
	want(none == nil, "two hold one lock")
	waiter, err := client.LockKey("lock")
	must(err)
	taken := make(chan error, 1)
	go func() {
		_, err := waiter.Lock(nil)
		taken <- err
	}()
	must(first.Unlock())
	within(patience, lost, "the news that the lock is given back")
	must(within(patience, taken, "the lock to the one who waits"))
	must(waiter.Unlock())
	must(waiter.Destroy())
	return nil
}

func semaphores() error {
	enter := func() *api.Semaphore {
		semaphore, err := client.SemaphoreOpts(&api.SemaphoreOptions{
			Prefix: "slots", Limit: 2, SemaphoreTryOnce: true, SemaphoreWaitTime: 200 * time.Millisecond,
		})
		must(err)
		return semaphore
	}
	one, two, three := enter(), enter(), enter()
	first, err := one.Acquire(nil)
	must(err)
	second, err := two.Acquire(nil)
	must(err)
	third, err := three.Acquire(nil)
	must(err)
	want(first != nil && second != nil && third == nil, "the slots are %v %v %v", first, second, third)
	must(one.Release())
	third, err = three.Acquire(nil)
	must(err)
	want(third != nil, "a free slot is not given")
	must(two.Release())
	must(three.Release())
	must(three.Destroy())
	return nil
}

func events() error {
	id, _, err := client.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("v2")}, nil)
	must(err)
	deadline := time.Now().Add(patience)
	for {
		list, _, err := client.Event().List("deploy", nil)
		must(err)
		if len(list) == 1 {
			want(list[0].ID == id && string(list[0].Payload) == "v2", "event %+v", list[0])
			return nil
		}
		want(time.Now().Before(deadline), "the event is not listed: %v", list)
		time.Sleep(20 * time.Millisecond)
	}
}

func queries() error {
	definition := &api.PreparedQueryDefinition{
		Name: "web-primary", Service: api.ServiceQuery{Service: "web", OnlyPassing: true, Tags: []string{"primary"}},
	}
	id, _, err := client.PreparedQuery().Create(definition, nil)
	must(err)
	answer, _, err := client.PreparedQuery().Execute("web-primary", nil)
	must(err)
	want(len(answer.Nodes) == 1 && answer.Nodes[0].Service.ID == "web-1", "execute %+v", answer)
	definition.ID, definition.Service.Tags = id, []string{"v2"}
	_, err = client.PreparedQuery().Update(definition, nil)
	must(err)
	answer, _, err = client.PreparedQuery().Execute(id, nil)
	must(err)
	want(len(answer.Nodes) == 0, "after the update %+v", answer)
	got, _, err := client.PreparedQuery().Get(id, nil)
	must(err)
	list, _, err := client.PreparedQuery().List(nil)
	must(err)
	want(len(got) == 1 && len(list) == 1, "get %v list %v", got, list)
	_, err = client.PreparedQuery().Delete(id, nil)
	must(err)
	return nil
}

func configEntries() error {
	resolver := &api.ServiceResolverConfigEntry{
		Kind: api.ServiceResolver, Name: "web", ConnectTimeout: 5 * time.Second, DefaultSubset: "v1",
		Subsets: map[string]api.ServiceResolverSubset{"v1": {Filter: `Service.Meta.version == "1.2.3"`}},
	}
	done, _, err := client.ConfigEntries().Set(resolver, nil)
	must(err)
	entry, _, err := client.ConfigEntries().Get(api.ServiceResolver, "web", nil)
	must(err)
	got := entry.(*api.ServiceResolverConfigEntry)
	want(done && got.ConnectTimeout == 5*time.Second && got.Subsets["v1"].Filter != "", "get %+v", got)
	done, _, err = client.ConfigEntries().CAS(resolver, 1, nil)
	must(err)
	want(!done, "a stale index is written")
	list, _, err := client.ConfigEntries().List(api.ServiceResolver, nil)
	must(err)
	want(len(list) == 1, "list %v", list)
	_, err = client.ConfigEntries().Delete(api.ServiceResolver, "web", nil)
	must(err)
	return nil
}

func snapshots() error {
	put("kept/a", "before")
	stream, _, err := client.Snapshot().Save(nil)
	must(err)
	archive, err := io.ReadAll(stream)
	must(err)
	must(stream.Close())
	put("kept/a", "after")
	must(client.Snapshot().Restore(nil, bytes.NewReader(archive)))
	pair, _, err := client.KV().Get("kept/a", nil)
	must(err)
	want(string(pair.Value) == "before", "after the restoring it is %q", pair.Value)
	return nil
}
