-- title: The addresses of the host, to tell own peers from foreign ones
-- interval: 600
-- mode: differential
-- platform: windows
-- version: 5.15.0
-- removed: true
-- denylist: true
-- needs: Any privilege.
-- noise: Laptops change networks. Temporary IPv6 addresses change daily.
-- references: osquery interface_addresses, interface_details.

SELECT DISTINCT a.interface, a.address, a.mask, a.type, d.mac
FROM interface_addresses a
LEFT JOIN interface_details d ON d.interface = a.interface
WHERE a.address NOT LIKE '127.%' AND a.address <> '::1' AND a.address NOT LIKE 'fe80:%'
