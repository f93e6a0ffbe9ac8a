-- title: Receipts of installed packages
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: Any privilege.
-- noise: None to speak of.
-- references: osquery package_receipts.

SELECT DISTINCT package_id, version, installer_name, install_time, path
FROM package_receipts
