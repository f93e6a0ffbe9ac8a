-- title: Sign of life: agent version, instance, configuration hash and own cost
-- interval: 120
-- mode: snapshot
-- platform: any
-- version: 5.0.0
-- removed: false
-- denylist: false
-- startup_priority: 1
-- needs: Any privilege.
-- noise: One row each two minutes.
-- references: osquery osquery_info, processes, time. config_hash is SHA-1 of the SHA-1 of the served body, both in
--   hex.

SELECT i.version, i.instance_id, i.uuid, i.pid, i.watcher, i.start_time, i.config_hash, i.config_valid, i.extensions,
       p.resident_size, p.user_time, p.system_time, t.unix_time
FROM osquery_info i
LEFT JOIN processes p ON p.pid = i.pid
CROSS JOIN time t
