-- title: Outbound TCP connections and attempts, with process, parent, account and Community ID
-- interval: 60
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: false
-- startup_priority: 2
-- needs: osqueryd as SYSTEM, to read the paths and command lines of other accounts.
-- noise: Browsers and update services open many short connections; a poll each 60 s sees a connection of 5 s in 8 %
--   of cases. UDP has no peer on Windows. TIME_WAIT belongs to nobody and is left out. username is best effort: uid
--   is a RID, which collides across domains (username_matches says how often).
-- references: osquery process_open_sockets, processes, users; ATT&CK T1571 AN0633; Community ID 1.0.

-- Each expensive table is scanned once, in a CTE of its own; sockets lead, so that a vanished process keeps its row.
WITH tcp AS MATERIALIZED (
  SELECT pid, family, protocol, local_address, local_port, remote_address, remote_port, state
  FROM process_open_sockets
  WHERE protocol = 6
),
procs AS MATERIALIZED (
  SELECT pid, parent, name, path, cmdline, uid, start_time, on_disk, elevated_token, protection_type
  FROM processes
),
-- Raw TCP states would make a change of every handshake: they are folded to attempt and open.
conns AS MATERIALIZED (
  SELECT DISTINCT pid, family, protocol, local_address, local_port, remote_address, remote_port,
         CASE WHEN state = 'SYN_SENT' THEN 'attempt' ELSE 'open' END AS conn_state
  FROM tcp
  WHERE remote_port > 0 AND pid > 0
    AND state IN ('SYN_SENT','SYN_RCVD','ESTABLISHED','FIN_WAIT1','FIN_WAIT2','CLOSE_WAIT','CLOSING','LAST_ACK')
    AND remote_address NOT LIKE '127.%'
    AND remote_address NOT IN ('::1','0.0.0.0','::')
),
-- A RID may belong to several accounts: the first name and how many there were.
usr AS MATERIALIZED (
  SELECT uid, MIN(username) AS username, COUNT(*) AS matches
  FROM users
  WHERE uid IN (SELECT DISTINCT p.uid FROM procs p JOIN conns c ON c.pid = p.pid)
  GROUP BY uid
)
SELECT c.pid, p.start_time AS proc_start, p.name AS proc_name, p.path AS proc_path, p.cmdline,
       p.on_disk, p.uid, p.elevated_token, p.protection_type,
       u.username, u.matches AS username_matches,
       p.parent AS parent_pid, pp.name AS parent_name, pp.path AS parent_path,
       -- A split svchost names its service in the command line.
       regex_match(p.cmdline, '-s ([A-Za-z0-9_.]+)', 1) AS svchost_hint,
       CASE WHEN c.family = 2 THEN 4 ELSE 6 END AS ip_version,
       c.protocol, c.local_address, c.local_port, c.remote_address, c.remote_port, c.conn_state,
       -- The local port has a listener: the peer probably called us. A process can fake it, so the server judges.
       EXISTS (SELECT 1 FROM tcp l WHERE l.state = 'LISTEN' AND l.local_port = c.local_port) AS local_port_listening,
       community_id_v1(c.local_address, c.remote_address, c.local_port, c.remote_port, c.protocol) AS community_id
FROM conns c
LEFT JOIN procs p ON p.pid = c.pid
LEFT JOIN usr u ON u.uid = p.uid
-- Windows reuses pids: a parent that started later is somebody else.
LEFT JOIN procs pp ON pp.pid = p.parent AND (pp.start_time <= p.start_time OR pp.start_time = -1)
