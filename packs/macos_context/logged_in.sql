-- title: Sessions of people on the host
-- interval: 600
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: Any privilege.
-- noise: One change per sign-in and per terminal window.
-- references: osquery logged_in_users.

SELECT DISTINCT user, type, tty, host, time, pid
FROM logged_in_users
