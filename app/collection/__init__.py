"""What we ask: packs on disk, the schedule served to nodes, exports for other managers."""
