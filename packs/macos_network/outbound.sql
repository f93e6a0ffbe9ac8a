-- title: Outbound TCP connections and attempts and connected UDP, with process, parent, account and Community ID
-- interval: 60
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: false
-- startup_priority: 2
-- needs: osqueryd as root, to see the sockets of other accounts. No Full Disk Access.
-- noise: QUIC shows as connected UDP to 443. A socket shared by fork appears under several processes. A poll each 60
--   s sees a connection of 5 s in 8 % of cases.
-- references: osquery process_open_sockets (families are normalised from 5.13), processes, users; ATT&CK T1571
--   AN0635; Community ID 1.0.

-- Each expensive table is scanned once, in a CTE of its own; sockets lead, so that a vanished process keeps its row.
WITH inet AS MATERIALIZED (
  SELECT pid, family, protocol, local_address, local_port, remote_address, remote_port, state
  FROM process_open_sockets
  WHERE family IN (2, 10, 30)
),
procs AS MATERIALIZED (
  SELECT pid, upid, parent, name, path, cmdline, uid, euid, start_time, on_disk, translated
  FROM processes
),
-- Raw TCP states would make a change of every handshake: they are folded to attempt and open.
conns AS MATERIALIZED (
  SELECT DISTINCT pid, family, protocol, local_address, local_port, remote_address, remote_port,
         CASE WHEN state = 'SYN_SENT' THEN 'attempt' WHEN protocol = 17 THEN 'udp_connected'
              ELSE 'open' END AS conn_state
  FROM inet
  WHERE remote_port > 0 AND local_port > 0
    AND (protocol = 17
      OR state IN ('SYN_SENT','SYN_RECV','ESTABLISHED','FIN_WAIT1','FIN_WAIT2','CLOSE_WAIT','CLOSING','LAST_ACK'))
    AND remote_address NOT LIKE '127.%'
    AND remote_address NOT IN ('::1','0.0.0.0','::')
),
usr AS MATERIALIZED (
  SELECT uid, MIN(username) AS username, COUNT(*) AS matches
  FROM users
  WHERE uid IN (SELECT DISTINCT p.euid FROM procs p JOIN conns c ON c.pid = p.pid)
  GROUP BY uid
)
SELECT c.pid, p.upid, p.start_time AS proc_start, p.name AS proc_name, p.path AS proc_path, p.cmdline,
       p.on_disk, p.uid, p.euid, p.translated,
       u.username, u.matches AS username_matches,
       p.parent AS parent_pid, pp.name AS parent_name, pp.path AS parent_path,
       -- IPv4-mapped sockets have an IPv6 family but print dotted IPv4: the text decides.
       CASE WHEN c.local_address LIKE '%:%' THEN 6 ELSE 4 END AS ip_version,
       c.protocol, c.local_address, c.local_port, c.remote_address, c.remote_port, c.conn_state,
       -- The local port has a listener: the peer probably called us. A process can fake it, so the server judges.
       EXISTS (SELECT 1 FROM inet l WHERE l.state = 'LISTEN' AND l.protocol = c.protocol
               AND l.local_port = c.local_port) AS local_port_listening,
       community_id_v1(c.local_address, c.remote_address, c.local_port, c.remote_port, c.protocol) AS community_id
FROM conns c
LEFT JOIN procs p ON p.pid = c.pid
LEFT JOIN usr u ON u.uid = p.euid
LEFT JOIN procs pp ON pp.pid = p.parent
