-- title: Firewall rules that are on and allow
-- interval: 14400
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM.
-- noise: Store applications add and remove rules at each update and sign-in.
-- references: osquery windows_firewall_rules; ATT&CK T1562.004.

SELECT DISTINCT name, app_name, action, enabled, grouping, direction, protocol,
       local_addresses, remote_addresses, local_ports, remote_ports,
       profile_domain, profile_private, profile_public, service_name
FROM windows_firewall_rules
WHERE enabled = 1 AND action = 'Allow'
