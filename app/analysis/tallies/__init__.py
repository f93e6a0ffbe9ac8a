"""The counts that statistics come from, kept up as sightings come."""
