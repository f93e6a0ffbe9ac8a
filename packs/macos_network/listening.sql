-- title: Listening TCP sockets and unconnected UDP ports below 49152, with process and launchd label
-- interval: 300
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- startup_priority: 3
-- needs: osqueryd as root.
-- noise: launchd (pid 1) holds the sockets of on-demand jobs: macos_context/launchd_sockets says whose they are.
--   launchd_match_rank 1 is a guess by path, 2 by arguments, 3 the whole command line. AirPlay Receiver takes 5000
--   and 7000.
-- references: osquery process_open_sockets, launchd; ATT&CK T1571 AN0635.

WITH socks AS MATERIALIZED (
  SELECT DISTINCT pid, family, protocol, local_address, local_port
  FROM process_open_sockets
  WHERE family IN (2, 10, 30) AND local_port > 0
    AND ((protocol = 6 AND state = 'LISTEN') OR (protocol = 17 AND remote_port = 0 AND local_port < 49152))
),
procs AS MATERIALIZED (
  SELECT pid, upid, parent, name, path, cmdline, uid, euid, start_time, on_disk, translated
  FROM processes
),
jobs AS MATERIALIZED (
  SELECT label, path AS plist_path, program, program_arguments FROM launchd
),
-- The launchd table has no pid: match by command line (3), its end (2) or path (1). substr, not LIKE: paths hold _
-- and %.
cand AS MATERIALIZED (
  SELECT DISTINCT p.pid, j.label,
         CASE WHEN p.cmdline = j.program_arguments
                OR (ifnull(j.program_arguments, '') = '' AND p.cmdline = j.program) THEN 3
              WHEN length(j.program_arguments) > 0
                AND substr(p.cmdline, -(length(j.program_arguments) + 1)) = ' ' || j.program_arguments THEN 2
              ELSE 1 END AS match_rank
  FROM procs p JOIN jobs j
    ON p.parent = 1 AND p.path <> '' AND (
         j.program = p.path
      OR j.program_arguments = p.path
      OR substr(j.program_arguments, 1, length(p.path) + 1) = p.path || ' '
      OR (length(j.program_arguments) > 0
          AND substr(p.cmdline, -(length(j.program_arguments) + 1)) = ' ' || j.program_arguments))
  WHERE p.pid IN (SELECT pid FROM socks)
),
-- Only the strongest matches of a process, and how many there are.
jobmap AS MATERIALIZED (
  SELECT c.pid, c.match_rank, COUNT(*) AS label_count, group_concat(c.label, ',') AS labels
  FROM (SELECT pid, label, match_rank FROM cand ORDER BY pid, label) c
  WHERE c.match_rank = (SELECT MAX(b.match_rank) FROM cand b WHERE b.pid = c.pid)
  GROUP BY c.pid, c.match_rank
),
usr AS MATERIALIZED (
  SELECT uid, MIN(username) AS username, COUNT(*) AS matches
  FROM users
  WHERE uid IN (SELECT DISTINCT p.euid FROM procs p JOIN socks s ON s.pid = p.pid)
  GROUP BY uid
)
SELECT s.pid, p.upid, p.start_time AS proc_start, p.name AS proc_name, p.path AS proc_path, p.cmdline, p.on_disk,
       p.uid, p.euid,
       u.username, u.matches AS username_matches,
       p.parent AS parent_pid, pp.name AS parent_name, pp.path AS parent_path,
       m.labels AS launchd_labels, m.label_count AS launchd_label_count, m.match_rank AS launchd_match_rank,
       CASE WHEN s.pid = 1 THEN 1 ELSE 0 END AS held_by_launchd,
       CASE WHEN s.local_address LIKE '%:%' THEN 6 ELSE 4 END AS ip_version,
       s.protocol, s.local_address, s.local_port,
       CASE WHEN s.local_address IN ('0.0.0.0','::') THEN 'any'
            WHEN s.local_address LIKE '127.%' OR s.local_address = '::1' THEN 'loopback'
            ELSE 'specific' END AS bind_scope
FROM socks s
LEFT JOIN procs p ON p.pid = s.pid
LEFT JOIN usr u ON u.uid = p.euid
LEFT JOIN procs pp ON pp.pid = p.parent
LEFT JOIN jobmap m ON m.pid = s.pid
