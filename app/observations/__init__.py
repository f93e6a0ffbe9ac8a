"""What nodes said: intake with group commit, batches, sightings, quarantine."""
