-- title: Jobs that launchctl enabled or disabled against their plist
-- interval: 3600
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root.
-- noise: One row per job that was ever switched. 1 is disabled.
-- references: osquery plist; launchd_overrides reads a place that macOS left with 10.10.

SELECT DISTINCT path, key AS label, value AS disabled
FROM plist
WHERE path LIKE '/var/db/com.apple.xpc.launchd/disabled%.plist'
