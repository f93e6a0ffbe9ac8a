-- title: Services and drivers and how they are configured
-- interval: 3600
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- startup_priority: 4
-- needs: osqueryd as SYSTEM. Opens every service once (0.1 to 0.3 s).
-- noise: Per-user services carry a suffix that changes with each sign-in (Name_1a2b3c). Updates of drivers change
--   their path.
-- references: osquery services; ATT&CK T1543.003.

SELECT DISTINCT name, display_name, service_type, start_type, path, module_path, user_account
FROM services
