-- title: Installed programs, MSIX packages too
-- interval: 14400
-- mode: differential
-- platform: windows
-- version: 5.17.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM. Machine-wide MSIX packages from osquery 5.22.
-- noise: Store applications update themselves.
-- references: osquery programs.

SELECT DISTINCT name, version, publisher, install_location, install_date,
       identifying_number, upgrade_code, package_family_name
FROM programs
