-- title: Homebrew packages
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: Any privilege.
-- noise: brew upgrade changes many rows at once.
-- references: osquery homebrew_packages.

SELECT DISTINCT name, version, path, type
FROM homebrew_packages
