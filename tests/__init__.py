"""Named, so that no dependency that brings tests of its own is taken for ours."""
