-- title: The host in one row: agent, operating system, hardware, connectivity
-- interval: 3600
-- mode: snapshot
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Any privilege.
-- noise: One row per run.
-- references: osquery osquery_info, os_version (revision from 5.12), system_info, connectivity.

SELECT i.version AS osquery_version, i.uuid AS host_uuid, i.instance_id, i.config_hash, i.config_valid,
       i.start_time AS osquery_start,
       o.name AS os_name, o.version AS os_version, o.build AS os_build, o.revision AS os_revision, o.arch, o.platform,
       s.hostname, s.computer_name, s.cpu_logical_cores, s.physical_memory,
       s.hardware_vendor, s.hardware_model, s.hardware_serial,
       c.ipv4_internet, c.ipv6_internet, c.disconnected
FROM osquery_info i CROSS JOIN os_version o CROSS JOIN system_info s CROSS JOIN connectivity c
