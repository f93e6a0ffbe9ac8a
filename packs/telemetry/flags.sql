-- title: Flags that differ from their default, and those that Portbook depends on
-- interval: 14400
-- mode: differential
-- platform: any
-- version: 5.0.0
-- removed: true
-- denylist: false
-- needs: Any privilege.
-- noise: Paths of certificates and secrets are shown, their contents are not. schedule_epoch changes daily.
-- references: osquery osquery_flags.

SELECT DISTINCT name, value, default_value FROM osquery_flags
-- Those that Portbook depends on are reported even at their default.
WHERE value <> default_value
   OR name IN (
        'disable_events', 'enable_process_etw_events', 'enable_dns_lookup_events',
        'disable_endpointsecurity', 'disable_audit', 'audit_allow_sockets', 'logger_event_type',
        'logger_numerics', 'schedule_epoch', 'pack_delimiter', 'host_identifier',
        'buffered_log_max', 'logger_tls_max_linesize', 'watchdog_level', 'disable_watchdog'
   )
