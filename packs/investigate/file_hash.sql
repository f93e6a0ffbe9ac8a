-- title: Hashes, size and times of the program's file
-- platform: any
-- version: 5.15.0
-- parameters: path
-- needs: osqueryd as SYSTEM or root. Files over 50 MB are not read (read_max).
-- noise: No row: the file is gone, or too large. It is the file of now, not that of the finding.
-- references: osquery hash, file.

SELECT h.path, h.sha256, h.sha1, h.md5, f.size, f.mtime, f.ctime, f.btime
FROM hash h
LEFT JOIN file f ON f.path = h.path
WHERE h.path = :path
LIMIT 1
