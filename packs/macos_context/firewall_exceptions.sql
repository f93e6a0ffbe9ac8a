-- title: Exceptions of the application firewall
-- interval: 14400
-- mode: differential
-- platform: darwin
-- version: 5.13.0
-- removed: true
-- denylist: true
-- needs: osqueryd as root.
-- noise: state 0 allows, 2 blocks, 3 is limited. Less is readable on macOS 15 and newer.
-- references: osquery alf_exceptions.

SELECT DISTINCT path, state FROM alf_exceptions
