-- title: DNS look-ups by process, from the DNS-Client trace provider
-- interval: 60
-- mode: event
-- platform: windows
-- version: 5.17.0
-- removed: false
-- denylist: true
-- needs: Flag --enable_dns_lookup_events=true at the start of the agent; osqueryd as SYSTEM.
-- noise: Programs with a resolver of their own and connections to plain addresses leave no row.
-- references: osquery dns_lookup_events; ETW Microsoft-Windows-DNS-Client event 3008.

SELECT time, datetime, pid, path, username, name, type, status, response FROM dns_lookup_events
