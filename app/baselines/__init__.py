"""What people approved: versions of baselines, reviews, exceptions."""
