-- title: Code signature and file facts of images that own sockets
-- interval: 3600
-- mode: differential
-- platform: darwin
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: osqueryd as root. Hashes each executable (hash_executable = 1), so the cost grows with its size.
-- noise: mtime, size and cdhash change with every update of a program.
-- references: osquery signature (hash_executable from 5.15), file. The server joins it to the connections by path.

WITH paths AS MATERIALIZED (
  SELECT DISTINCT p.path
  FROM processes p
  WHERE p.pid IN (SELECT DISTINCT pid FROM process_open_sockets WHERE family IN (2, 10, 30))
    AND p.path LIKE '/%'
)
SELECT DISTINCT s.path, s.signed, s.identifier, s.team_identifier, s.authority, s.cdhash,
       f.size, f.mtime, f.uid AS file_uid, f.mode
FROM signature s
LEFT JOIN file f ON f.path = s.path
-- One row per architecture otherwise; arch = '' is the whole file.
WHERE s.path IN (SELECT path FROM paths)
  AND s.hash_resources = 0 AND s.hash_executable = 1 AND s.arch = ''
