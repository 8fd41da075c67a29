// CoreDNS with the plugins that docs/guides/dns.md speaks of: the whole one, with those for clouds and Kubernetes,
// takes six times as long to build. Their order is CoreDNS' own list.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
)

func main() {
	coremain.Run()
}
