-- title: Connections and accepts from OpenBSM, on macOS 13 and older
-- interval: 60
-- mode: event
-- platform: darwin
-- version: 5.13.0
-- removed: false
-- denylist: true
-- needs: Flags --disable_audit=false and --audit_allow_sockets=true; OpenBSM auditing on, which macOS 14 and newer do
--   not do by default.
-- noise: Binds are never reported and an accept has no port. Empty on current macOS.
-- references: osquery socket_events.

SELECT time, action, pid, path, auid, family, protocol,
       local_address, local_port, remote_address, remote_port, success
FROM socket_events
WHERE remote_address <> ''
