-- title: Code signature of the program's file, by architecture
-- platform: darwin
-- version: 5.15.0
-- parameters: path
-- needs: osqueryd as root. Hashes the executable (hash_executable = 1), so the cost grows with its size.
-- noise: No row: the file is gone. It is the file of now, not that of the finding.
-- references: osquery signature (hash_executable from 5.15).

SELECT s.path, s.arch, s.signed, s.identifier, s.team_identifier, s.authority, s.cdhash
FROM signature s
WHERE s.path = :path AND s.hash_resources = 0 AND s.hash_executable = 1
LIMIT 8
