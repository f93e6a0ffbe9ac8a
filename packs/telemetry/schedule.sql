-- title: Runs, cost and denylisting of every scheduled query
-- interval: 3600
-- mode: snapshot
-- platform: any
-- version: 5.3.0
-- removed: false
-- denylist: false
-- needs: Any privilege.
-- noise: One row per scheduled query.
-- references: osquery osquery_schedule (milliseconds from 5.3). A denylisted query is a blind spot, not a quiet host.

SELECT name, interval, executions, last_executed, denylisted,
       wall_time_ms, last_wall_time_ms, user_time, system_time,
       last_user_time, last_system_time, average_memory, last_memory, output_size
FROM osquery_schedule
