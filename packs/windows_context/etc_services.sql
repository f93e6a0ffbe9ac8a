-- title: What the services file of the host calls the ports that are open on it
-- interval: 14400
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM.
-- noise: Follows the listeners. The file is a hint only: whoever owns the host may write it.
-- references: osquery etc_services, process_open_sockets.

SELECT DISTINCT name, port, protocol, aliases FROM etc_services
-- The whole file would be sent again each day: only the ports that are open here.
WHERE port IN (SELECT local_port FROM process_open_sockets WHERE local_port > 0 AND remote_port = 0)
