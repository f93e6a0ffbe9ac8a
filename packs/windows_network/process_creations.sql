-- title: Process creations that Windows audited, with creator and account
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Audit policy "Process Creation" (success); for command lines also the policy "Include command line in process
--   creation events"; publisher and subscriber flags as for wfp_events, with channel Security.
-- noise: An office host makes thousands a day, a build server hundreds a minute. Command lines may hold passwords.
-- references: osquery windows_events; Security event 4688; ATT&CK AN0633.

SELECT time, datetime, eventid, data
FROM windows_events
WHERE source = 'Security' AND eventid = 4688
