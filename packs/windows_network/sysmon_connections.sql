-- title: Network connections that Sysmon logged
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Sysmon with NetworkConnect rules; flag --windows_event_channels with Microsoft-Windows-Sysmon/Operational;
--   publisher and subscriber flags as for wfp_events.
-- noise: As much as the Sysmon configuration lets through.
-- references: osquery windows_events; Sysmon event 3.

SELECT time, datetime, eventid, data
FROM windows_events
WHERE provider_name = 'Microsoft-Windows-Sysmon' AND eventid = 3
