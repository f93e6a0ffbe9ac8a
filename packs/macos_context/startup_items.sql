-- title: Login and background items, jobs inside app bundles too
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.21.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root, perhaps with Full Disk Access.
-- noise: Applications register their helpers again at each update.
-- references: osquery startup_items (Background Task Management from 5.21); ATT&CK T1547.015.

SELECT DISTINCT name, path, args, type, source, status, username FROM startup_items
