-- title: Connections from one program to another on the same host, below port 49152
-- interval: 300
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root, to see the sockets of other accounts.
-- noise: Developers' tools, databases and synchronising programs talk to themselves all day. One row a pair of programs
--   and port, whatever the number of connections; servers from 49152 up are left out.
-- references: osquery process_open_sockets, processes; ATT&CK T1572 Protocol Tunneling, T1090.001 Internal Proxy.

-- Each expensive table is scanned once, in a CTE of its own.
WITH tcp AS MATERIALIZED (
  SELECT pid, local_address, local_port, remote_address, remote_port, state
  FROM process_open_sockets
  WHERE family IN (2, 10, 30) AND protocol = 6
),
procs AS MATERIALIZED (
  SELECT pid, parent, name, path, cmdline, euid
  FROM processes
),
-- Client and server of a connection are two sockets of one host: the client's peer port is a listener's own.
pairs AS MATERIALIZED (
  SELECT c.pid, c.remote_port, MIN(l.pid) AS server_pid
  FROM tcp c JOIN tcp l ON l.state = 'LISTEN' AND l.local_port = c.remote_port
  WHERE c.state = 'ESTABLISHED' AND c.pid > 0 AND c.remote_port BETWEEN 1 AND 49151
    AND (c.remote_address LIKE '127.%' OR c.remote_address = '::1')
  GROUP BY c.pid, c.remote_port
)
SELECT MIN(c.pid) AS pid, p.name AS proc_name, p.path AS proc_path, MIN(p.cmdline) AS cmdline, MIN(p.euid) AS uid,
       pp.name AS parent_name, pp.path AS parent_path,
       s.name AS server_name, s.path AS server_path,
       6 AS protocol, '127.0.0.1' AS remote_address, c.remote_port
FROM pairs c
LEFT JOIN procs p ON p.pid = c.pid
LEFT JOIN procs pp ON pp.pid = p.parent
LEFT JOIN procs s ON s.pid = c.server_pid
GROUP BY p.name, p.path, pp.name, pp.path, s.name, s.path, c.remote_port
