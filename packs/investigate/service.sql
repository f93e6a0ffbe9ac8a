-- title: The Windows services in the process, and the one that the finding names
-- platform: windows
-- version: 5.15.0
-- parameters: pid, unit
-- needs: osqueryd as SYSTEM. Enumerates the services once (0.1 to 0.3 s).
-- noise: A shared svchost holds several services.
-- references: osquery services; ATT&CK T1543.003.

SELECT s.name, s.display_name, s.status, s.pid, s.service_type, s.start_type, s.path, s.module_path, s.user_account,
       s.description
FROM services s
WHERE s.pid = :pid OR s.name = :unit COLLATE NOCASE
ORDER BY s.name
LIMIT 100
