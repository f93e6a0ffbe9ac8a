-- title: The sockets that the process has at this moment
-- platform: any
-- version: 5.15.0
-- parameters: pid
-- needs: osqueryd as SYSTEM or root.
-- noise: Process ids are used again (process_tree). On Windows UDP shows no peer. What was closed before is gone.
-- references: osquery process_open_sockets; ATT&CK T1571.

SELECT DISTINCT s.pid, s.protocol, s.family, s.local_address, s.local_port, s.remote_address, s.remote_port, s.state
FROM process_open_sockets s
-- Family 1 are the sockets of macOS that have a path and no port.
WHERE s.pid = :pid AND s.family <> 1
ORDER BY s.protocol, s.local_port, s.remote_address, s.remote_port
LIMIT 500
