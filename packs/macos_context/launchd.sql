-- title: launchd jobs and how they are configured
-- interval: 3600
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- startup_priority: 4
-- needs: osqueryd as root, to read the LaunchAgents of every account.
-- noise: Updates of macOS change hundreds of jobs at once. This is configuration, not state: it does not say what
--   runs. Hidden plists and jobs inside app bundles are missing (hidden_plists, startup_items).
-- references: osquery launchd; ATT&CK T1543.001 and T1543.004, T1571 AN0635.

SELECT DISTINCT l.path AS plist_path, l.name AS plist_name, l.label, l.program, l.program_arguments,
       l.run_at_load, l.keep_alive, l.on_demand, l.disabled, l.username, l.groupname,
       l.start_interval, l.watch_paths, l.queue_directories, l.start_on_mount,
       l.inetd_compatibility, l.root_directory, l.working_directory, l.process_type,
       CASE WHEN l.path LIKE '/System/%' OR l.path LIKE '/Library/Apple/%' THEN 'apple'
            WHEN l.path LIKE '/Library/LaunchDaemons/%' THEN 'system_daemon'
            WHEN l.path LIKE '/Library/LaunchAgents/%' THEN 'system_agent'
            ELSE 'user_agent' END AS scope
FROM launchd l
