-- title: Process executions, forks and exits from EndpointSecurity
-- interval: 60
-- mode: event
-- platform: darwin
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Flag --disable_endpointsecurity=false, root, the official osquery build and Full Disk Access by a PPPC
--   profile; without that access the table is silently empty.
-- noise: Developer Macs fork thousands of times a minute.
-- references: osquery es_process_events.

SELECT time, event_type, pid, pidversion, parent, original_parent, responsible_pid,
       path, cmdline, cwd, uid, euid, username,
       signing_id, team_id, cdhash, platform_binary, codesigning_flags,
       exit_code, child_pid, seq_num, global_seq_num
FROM es_process_events
