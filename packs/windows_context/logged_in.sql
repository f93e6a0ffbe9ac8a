-- title: Sessions of people and services on the host
-- interval: 600
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM.
-- noise: One change per sign-in and sign-out.
-- references: osquery logged_in_users.

SELECT DISTINCT user, type, tty, host, time, pid
FROM logged_in_users
