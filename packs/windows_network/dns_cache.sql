-- title: Names in the resolver cache of the host
-- interval: 300
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: false
-- denylist: true
-- needs: Any privilege.
-- noise: Names only: no process, no address. Entries come back when their time to live ends, so a name may be new
--   again each hour.
-- references: osquery dns_cache.

SELECT DISTINCT name, type FROM dns_cache WHERE type IN ('A','AAAA','CNAME')
