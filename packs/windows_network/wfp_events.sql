-- title: Connections and binds that the Windows Filtering Platform permitted
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Audit policy "Filtering Platform Connection" (success); flags --enable_windows_events_publisher=true and
--   --enable_windows_events_subscriber=true with channel Security.
-- noise: Very high volume: one row per connection. Turn the audit policy on for selected hosts only.
-- references: osquery windows_events; Security events 5156 and 5158.

SELECT time, datetime, eventid, computer_name, data
FROM windows_events
WHERE source = 'Security' AND eventid IN (5156, 5158)
