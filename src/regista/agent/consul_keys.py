"""The keys of Consul's agent that are accepted here so that its files can be used as they are.

Data only. `NO_EFFECT` are those that mean nothing to this version; `SAME_AS` are those that are another name
of one of ours. A path that ends in `.*` takes any keys below it.

Source: Consul 1.9 to 1.20, agent configuration.
"""

from __future__ import annotations

SAME_AS: dict[str, str] = {
    "check_output_max_size": "health.output_bytes_max",
    "default_query_time": "http.wait_default",
    "max_query_time": "http.wait_max",
    "limits.kv_max_value_size": "kv.value_bytes_max",
    "limits.txn_max_req_len": "kv.transaction_bytes_max",
    "session_ttl_min": "kv.session_ttl_min",
}
"""Consul's path → ours. Where ours is not mounted, Consul's has no effect."""

PROTECTIONS = frozenset(
    (
        "acl.enabled",
        "acl_enforce_version_8",
        "verify_incoming",
        "verify_incoming_https",
        "tls.defaults.verify_incoming",
        "tls.https.verify_incoming",
    )
)
"""Keys that, when true, keep strangers out. Without an effect they would leave a door open that was locked in
Consul, so they are refused rather than passed over."""

_TLS = "ca_file ca_path cert_file key_file tls_min_version tls_cipher_suites verify_incoming verify_outgoing"

_TOP_LEVEL = """
    primary_datacenter server bootstrap bootstrap_expect
    advertise_addr_wan advertise_addr_ipv4 advertise_addr_ipv6 advertise_addr_wan_ipv4 advertise_addr_wan_ipv6
    advertise_reconnect_timeout
    serf_lan serf_wan translate_wan_addrs tagged_addresses.*
    start_join start_join_wan retry_join retry_join_wan retry_interval retry_interval_wan retry_max retry_max_wan
    rejoin_after_leave leave_on_terminate skip_leave_on_interrupt reconnect_timeout reconnect_timeout_wan
    serf_lan_allowed_cidrs serf_wan_allowed_cidrs encrypt encrypt_verify_incoming encrypt_verify_outgoing
    disable_keyring_file
    acl_datacenter acl_default_policy acl_down_policy acl_master_token acl_token acl_agent_token
    acl_agent_master_token acl_replication_token acl_ttl acl_enforce_version_8 enable_acl_replication
    acl_enable_key_list_policy
    ca_file ca_path cert_file key_file verify_incoming verify_incoming_rpc verify_incoming_https verify_outgoing
    verify_server_hostname server_name tls_min_version tls_cipher_suites tls_prefer_server_cipher_suites
    enable_agent_tls_for_checks
    enable_debug disable_http_unprintable_char_filter default_query_time max_query_time
    raft_protocol raft_snapshot_threshold raft_snapshot_interval raft_trailing_logs
    check_update_interval check_output_max_size discard_check_output session_ttl_min
    enable_central_service_config default_intention_policy
    ui ui_dir ui_content_path
    log_file log_rotate_bytes log_rotate_duration log_rotate_max_files
    log_sublevels.* enable_syslog syslog_facility
    disable_update_check disable_anonymous_signature disable_remote_exec disable_coordinates disable_host_node_id
    discovery_max_stale use_streaming_backend protocol primary_gateways primary_gateways_interval
    segments segment non_voting_server read_replica partition experiments auto_reload_config
    license_path disable_http2 xds.* cloud.* locality.* audit.* snapshot_agent.*
"""

_BLOCKS: dict[str, str] = {
    "addresses": "dns http https grpc grpc_tls",
    "unix_sockets": "user group mode",
    "ports": "https grpc grpc_tls serf_lan serf_wan server sidecar_min_port sidecar_max_port expose_min_port "
    "expose_max_port proxy_min_port proxy_max_port",
    "acl": "enabled default_policy down_policy policy_ttl role_ttl token_ttl enable_key_list_policy "
    "enable_token_persistence enable_token_replication msp_disable_bootstrap disabled_ttl",
    "acl.tokens": "master agent_master agent default replication managed_service_provider initial_management "
    "agent_recovery config_file_service_registration dns",
    "auto_encrypt": "tls allow_tls dns_san ip_san",
    "tls.defaults": _TLS,
    "tls.internal_rpc": f"{_TLS} verify_server_hostname server_name",
    "tls.https": _TLS,
    "tls.grpc": f"{_TLS} use_auto_cert",
    "dns_config": "allow_stale max_stale use_cache cache_max_age prefer_namespace",
    "http_config": "block_endpoints allow_write_http_from use_cache max_header_bytes",
    "limits": "http_max_conns_per_client https_handshake_timeout rpc_handshake_timeout rpc_client_timeout "
    "rpc_rate rpc_max_burst rpc_max_conns_per_client kv_max_value_size txn_max_req_len",
    "limits.request_limits": "mode read_rate write_rate",
    "request_limits": "mode read_rate write_rate",
    "performance": "raft_multiplier leave_drain_time rpc_hold_timeout grpc_keepalive_interval "
    "grpc_keepalive_timeout",
    "autopilot": "cleanup_dead_servers last_contact_threshold max_trailing_logs min_quorum "
    "server_stabilization_time redundancy_zone_tag disable_upgrade_migration upgrade_version_tag",
    "raft_logstore": "backend disable_log_cache verification.* boltdb.* wal.*",
    "gossip_lan": "gossip_interval gossip_nodes probe_interval probe_timeout suspicion_mult retransmit_mult",
    "gossip_wan": "gossip_interval gossip_nodes probe_interval probe_timeout suspicion_mult retransmit_mult",
    "connect": "enabled ca_provider ca_config.* enable_mesh_gateway_wan_federation "
    "enable_serverless_plugin test_ca_leaf_root_change_spread",
    "config_entries": "bootstrap",
    "ui_config": "enabled dir content_path metrics_provider metrics_provider_files metrics_provider_options_json "
    "dashboard_url_templates.* hcp_enabled",
    "ui_config.metrics_proxy": "base_url add_headers path_allowlist",
    "telemetry": "metrics_prefix statsd_address statsite_address dogstatsd_addr dogstatsd_tags "
    "prometheus_retention_time disable_hostname filter_default prefix_filter disable_compat_1.9 "
    "disable_per_tenancy_usage_metrics retry_failed_connection enable_host_metrics "
    "circonus_api_token circonus_api_app circonus_api_url circonus_submission_interval circonus_submission_url "
    "circonus_check_id circonus_check_force_metric_activation circonus_check_instance_id "
    "circonus_check_search_tag circonus_check_display_name "
    "circonus_check_tags circonus_broker_id circonus_broker_select_tag",
    "cache": "entry_fetch_rate entry_fetch_max_burst",
    "rpc": "enable_streaming",
    "auto_config": "enabled intro_token intro_token_file server_addresses dns_sans ip_sans authorization.*",
    "peering": "enabled test_allow_peer_registrations",
    "reporting": "license.*",
}


def _paths() -> frozenset[str]:
    nested = (f"{block}.{name}" for block, names in _BLOCKS.items() for name in names.split())
    return frozenset((*_TOP_LEVEL.split(), *nested))


NO_EFFECT: frozenset[str] = _paths()
"""Paths that are known and mean nothing here."""
