-- title: Which packs are active on the node
-- interval: 3600
-- mode: snapshot
-- platform: any
-- version: 5.0.0
-- removed: false
-- denylist: false
-- needs: Any privilege.
-- noise: One row per pack.
-- references: osquery osquery_packs.

SELECT name, platform, version, shard, discovery_cache_hits, discovery_executions, active FROM osquery_packs
