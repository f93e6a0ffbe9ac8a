-- title: Process starts that Sysmon logged, with parent, account and command line
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Sysmon with ProcessCreate rules; flag --windows_event_channels with Microsoft-Windows-Sysmon/Operational;
--   publisher and subscriber flags as for wfp_events.
-- noise: As much as the Sysmon configuration lets through; a start that its rules leave out says nothing of the process.
--   Command lines may hold passwords.
-- references: osquery windows_events; Sysmon event 1; ATT&CK AN0633.

SELECT time, datetime, eventid, data
FROM windows_events
WHERE provider_name = 'Microsoft-Windows-Sysmon' AND eventid = 1
