-- title: Scheduled tasks, without the times of their runs
-- interval: 14400
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: osqueryd as SYSTEM.
-- noise: Updaters register tasks again under names with a random part.
-- references: osquery scheduled_tasks (run times change by themselves: osquery issue 4270); ATT&CK T1053.005.

SELECT DISTINCT name, action, path, enabled, hidden FROM scheduled_tasks
