-- title: Process starts and stops, the short-lived ones too
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Flag --enable_process_etw_events=true at the start of the agent; osqueryd as SYSTEM.
-- noise: Build servers start hundreds of processes a minute. Windows 11 24H2 is reported to deliver only ProcessStop.
-- references: osquery process_etw_events; osquery issue 8619.

SELECT time, datetime, type, pid, ppid, path, cmdline, username, token_elevation_status,
       mandatory_label, exit_code, session_id,
       process_sequence_number, parent_process_sequence_number
FROM process_etw_events
