-- title: Which process each running service lives in
-- interval: 900
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM.
-- noise: About 100 rows when the host starts and with the daily resync; then only services that come and go.
-- references: osquery services, processes.

SELECT s.name, s.status, s.pid, p.path AS proc_path, p.start_time AS proc_start
-- The subquery scans services once, before the join.
FROM (SELECT name, status, pid FROM services WHERE pid > 0) s
LEFT JOIN processes p ON p.pid = s.pid
