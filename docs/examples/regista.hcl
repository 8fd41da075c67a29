# An agent on one machine with two services. Start it with
#   regista agent --config-file regista.hcl
datacenter = "dc1"
node_name  = "web-server-1"
data_dir   = "/var/lib/regista"

# 0.0.0.0 opens the API to the network; there is no authentication in this version.
client_addr = "127.0.0.1"
bind_addr   = "10.0.0.11"

ports {
  http = 8500
  dns  = 8600
}

node_meta = {
  rack = "r7"
  "os-version" = "12"
}

log_level = "info"

store {
  log_retention = "2h"
  log_bytes_max = 134217728
}

registry {
  tombstone_retention = "72h"
}

services {
  id   = "web-1"
  name = "web"
  port = 8080
  tags = ["v1", "primary"]
  meta = { version = "1.4.2" }

  check {
    http     = "http://127.0.0.1:8080/health"
    interval = "10s"
    timeout  = "2s"
  }
}

services {
  name = "worker"

  checks {
    name = "Heartbeat"
    ttl  = "30s"
    deregister_critical_service_after = "90m"
  }
}

check {
  id       = "disk-server"
  name     = "The disk server answers"
  tcp      = "10.0.0.2:2049"
  interval = "30s"
}
