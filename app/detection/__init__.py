"""PURE CORE: row → program → behaviour → history → deviation → score."""
