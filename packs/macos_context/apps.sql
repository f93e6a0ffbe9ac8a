-- title: Applications
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root.
-- noise: Versions change with each update. From 5.23 folders are scanned as well, which adds rows once.
-- references: osquery apps.

SELECT DISTINCT name, path, bundle_identifier, bundle_executable,
       bundle_short_version, bundle_version, category
FROM apps
