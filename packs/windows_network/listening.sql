-- title: Listening TCP sockets and bound UDP ports below 49152, with process and service names
-- interval: 300
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- startup_priority: 3
-- needs: osqueryd as SYSTEM. Enumerates the services once per run (0.1 to 0.3 s).
-- noise: RPC services listen on ports from 49664 up that change at each start of the host. SMB and HTTP.sys ports
--   belong to pid 4, which has no path.
-- references: osquery process_open_sockets (listening_ports calls every IPv6 socket a listener on Windows), services;
--   ATT&CK T1571 AN0633.

-- UDP from 49152 up is a client waiting for answers, not a service.
WITH socks AS MATERIALIZED (
  SELECT DISTINCT pid, family, protocol, local_address, local_port
  FROM process_open_sockets
  WHERE local_port > 0
    AND ((protocol = 6 AND state = 'LISTEN') OR (protocol = 17 AND local_port < 49152))
),
procs AS MATERIALIZED (
  SELECT pid, parent, name, path, cmdline, uid, start_time, on_disk, elevated_token, protection_type
  FROM processes
),
-- A shared svchost hosts several services: all their names, sorted, so that the text is stable.
svc AS MATERIALIZED (
  SELECT pid, group_concat(name, ',') AS service_names, COUNT(*) AS service_count
  FROM (SELECT pid, name FROM services WHERE pid > 0 ORDER BY pid, name)
  GROUP BY pid
),
usr AS MATERIALIZED (
  SELECT uid, MIN(username) AS username, COUNT(*) AS matches
  FROM users
  WHERE uid IN (SELECT DISTINCT p.uid FROM procs p JOIN socks s ON s.pid = p.pid)
  GROUP BY uid
)
SELECT s.pid, p.start_time AS proc_start, p.name AS proc_name, p.path AS proc_path, p.cmdline, p.on_disk,
       p.uid, p.elevated_token, p.protection_type,
       u.username, u.matches AS username_matches,
       p.parent AS parent_pid, pp.name AS parent_name, pp.path AS parent_path,
       v.service_names, v.service_count,
       CASE WHEN s.family = 2 THEN 4 ELSE 6 END AS ip_version,
       s.protocol, s.local_address, s.local_port,
       CASE WHEN s.local_address IN ('0.0.0.0','::') THEN 'any'
            WHEN s.local_address LIKE '127.%' OR s.local_address = '::1' THEN 'loopback'
            ELSE 'specific' END AS bind_scope
FROM socks s
LEFT JOIN procs p ON p.pid = s.pid
LEFT JOIN usr u ON u.uid = p.uid
-- Windows reuses pids: a parent that started later is somebody else.
LEFT JOIN procs pp ON pp.pid = p.parent AND (pp.start_time <= p.start_time OR pp.start_time = -1)
LEFT JOIN svc v ON v.pid = s.pid
