-- title: The host in one row: agent, operating system, hardware, firewall
-- interval: 3600
-- mode: snapshot
-- platform: darwin
-- version: 5.13.0
-- removed: false
-- denylist: true
-- needs: Any privilege.
-- noise: One row per run.
-- references: osquery osquery_info, os_version, system_info, alf.

SELECT i.version AS osquery_version, i.uuid AS host_uuid, i.instance_id, i.config_hash, i.config_valid,
       i.start_time AS osquery_start,
       o.name AS os_name, o.version AS os_version, o.build AS os_build, o.extra AS os_extra, o.arch, o.platform,
       s.hostname, s.computer_name, s.local_hostname, s.cpu_logical_cores, s.physical_memory,
       s.hardware_vendor, s.hardware_model, s.hardware_serial,
       a.global_state AS alf_state, a.stealth_enabled AS alf_stealth
FROM osquery_info i CROSS JOIN os_version o CROSS JOIN system_info s LEFT JOIN alf a ON 1 = 1
