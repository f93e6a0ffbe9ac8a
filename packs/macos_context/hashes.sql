-- title: SHA-256 of images that own sockets
-- interval: 3600
-- mode: differential
-- platform: darwin
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: osqueryd as root. Files over 50 MB are not read (read_max).
-- noise: One row per program and update.
-- references: osquery hash, which caches by inode and mtime.

WITH paths AS MATERIALIZED (
  SELECT DISTINCT p.path
  FROM processes p
  WHERE p.pid IN (SELECT DISTINCT pid FROM process_open_sockets WHERE pid > 4)
    AND p.path <> '' AND p.on_disk = 1
)
SELECT DISTINCT path, sha256 FROM hash WHERE path IN (SELECT path FROM paths)
