-- title: Hidden plists in the folders of launchd, which the launchd table does not read
-- interval: 3600
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root.
-- noise: None on a clean host: every row deserves a look.
-- references: osquery file; osquery issue 7703; ATT&CK T1543.001, T1564.001.

SELECT DISTINCT path, filename, size, mtime, uid, mode
FROM file
-- One folder level each: ** would walk the whole disk.
WHERE (path LIKE '/Library/LaunchDaemons/.%'
    OR path LIKE '/Library/LaunchAgents/.%'
    OR path LIKE '/Users/%/Library/LaunchAgents/.%')
  AND type = 'regular' AND filename <> '.DS_Store'
