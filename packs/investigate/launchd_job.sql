-- title: The launchd jobs with the finding's label, and those that run the program's file
-- platform: darwin
-- version: 5.15.0
-- parameters: unit, path
-- needs: osqueryd as root, to read the LaunchAgents of every account.
-- noise: This is configuration, not state. Hidden plists and jobs inside app bundles are missing.
-- references: osquery launchd; ATT&CK T1543.001, T1543.004.

SELECT l.path AS plist_path, l.label, l.program, l.program_arguments, l.run_at_load, l.keep_alive, l.disabled,
       l.username, l.groupname, l.working_directory
FROM launchd l
-- substr, not LIKE: paths hold _ and %.
WHERE l.label = :unit OR l.program = :path OR l.program_arguments = :path
   OR substr(l.program_arguments, 1, length(:path) + 1) = :path || ' '
ORDER BY l.path
LIMIT 50
