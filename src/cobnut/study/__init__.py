"""Many trainings: compared side by side, or searched for the best settings."""
