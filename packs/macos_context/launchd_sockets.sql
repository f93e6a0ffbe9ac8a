-- title: Ports that launchd opens for a job, and the bundle program behind it
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root. Reads some 900 plists per run.
-- noise: SockServiceName is a number or a name from /etc/services.
-- references: osquery launchd, plist; launchd.plist(5).

SELECT DISTINCT l.label, l.path AS plist_path, p.key, p.subkey, p.value
FROM (SELECT label, path FROM launchd) l
-- CROSS JOIN fixes the order: plist must be asked by path.
CROSS JOIN plist p ON p.path = l.path
WHERE p.key IN ('Sockets', 'inetdCompatibility', 'BundleProgram', 'AssociatedBundleIdentifiers')
