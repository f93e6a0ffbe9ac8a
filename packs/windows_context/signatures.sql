-- title: Authenticode signature and file facts of images that own sockets
-- interval: 3600
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: osqueryd as SYSTEM. Checks revocation of the whole chain, which may go to the network and block for seconds.
-- noise: mtime and size change with every update of a program. A file that is gone gives no row.
-- references: osquery authenticode, file. The server joins it to the connections by path.

WITH paths AS MATERIALIZED (
  SELECT DISTINCT p.path
  FROM processes p
  WHERE p.pid IN (SELECT DISTINCT pid FROM process_open_sockets WHERE pid > 4)
    AND p.path LIKE '_:%'
)
SELECT DISTINCT a.path, a.result AS sign_status, a.subject_name, a.issuer_name, a.serial_number,
       a.original_program_name,
       f.size, f.mtime, f.file_version, f.product_version, f.original_filename
FROM authenticode a
LEFT JOIN file f ON f.path = a.path
-- authenticode runs once per distinct path, not once per socket.
WHERE a.path IN (SELECT path FROM paths)
