-- title: Every listening TCP socket of the host and its bound UDP ports below 49152, with their processes
-- platform: any
-- version: 5.15.0
-- needs: osqueryd as SYSTEM or root.
-- noise: On macOS launchd (pid 1) holds the sockets of jobs that start on demand.
-- references: osquery process_open_sockets (listening_ports calls every IPv6 socket a listener on Windows), processes.

WITH socks AS MATERIALIZED (
  SELECT DISTINCT pid, protocol, local_address, local_port
  FROM process_open_sockets
  WHERE family <> 1 AND local_port > 0
    AND ((protocol = 6 AND state = 'LISTEN')
      OR (protocol = 17 AND ifnull(remote_port, 0) = 0 AND local_port < 49152))
)
SELECT s.protocol, s.local_port, s.local_address, s.pid, p.name, p.path
FROM socks s
LEFT JOIN processes p ON p.pid = s.pid
ORDER BY s.protocol, s.local_port, s.local_address, s.pid
LIMIT 500
