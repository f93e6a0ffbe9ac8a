-- title: Which event publishers and subscribers work
-- interval: 3600
-- mode: snapshot
-- platform: any
-- version: 5.0.0
-- removed: false
-- denylist: false
-- needs: Any privilege.
-- noise: One row per publisher and subscriber.
-- references: osquery osquery_events. An event query without an active publisher is a blind spot.

SELECT name, publisher, type, subscriptions, events, refreshes, active FROM osquery_events
