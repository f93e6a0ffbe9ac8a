-- title: The process, those that started it and those that it started
-- platform: any
-- version: 5.15.0
-- parameters: pid
-- needs: osqueryd as SYSTEM or root, to read every command line.
-- noise: Process ids are used again: start_time tells whether it is still the process of the finding. No row at depth 0:
--   it has ended.
-- references: osquery processes, users; ATT&CK T1571.

WITH RECURSIVE
-- processes is read once, however deep the tree is.
procs AS MATERIALIZED (
  SELECT pid, parent, name, path, cmdline, uid, start_time, on_disk FROM processes
),
-- Who began later than its child has only taken over the id of a parent that is gone.
up (pid, parent, start_time, depth) AS (
  SELECT pid, parent, start_time, 0 FROM procs WHERE pid = :pid
  UNION
  SELECT p.pid, p.parent, p.start_time, up.depth - 1
  FROM up JOIN procs p ON p.pid = up.parent
  WHERE up.depth > -16 AND p.pid <> up.pid AND (p.start_time <= up.start_time OR p.start_time = -1)
),
down (pid, start_time, depth) AS (
  SELECT pid, start_time, 0 FROM procs WHERE pid = :pid
  UNION
  SELECT p.pid, p.start_time, down.depth + 1
  FROM down JOIN procs p ON p.parent = down.pid
  WHERE down.depth < 8 AND p.pid <> down.pid AND (p.start_time >= down.start_time OR p.start_time = -1)
),
tree AS MATERIALIZED (
  SELECT pid, depth FROM up UNION SELECT pid, depth FROM down
),
usr AS MATERIALIZED (
  SELECT uid, MIN(username) AS username, COUNT(*) AS matches
  FROM users
  WHERE uid IN (SELECT DISTINCT p.uid FROM procs p JOIN tree t ON t.pid = p.pid)
  GROUP BY uid
)
SELECT t.depth, p.pid, p.parent, p.name, p.path, p.cmdline, p.uid,
       u.username, u.matches AS username_matches, p.start_time, p.on_disk
FROM tree t
JOIN procs p ON p.pid = t.pid
LEFT JOIN usr u ON u.uid = p.uid
ORDER BY t.depth, p.pid
LIMIT 300
