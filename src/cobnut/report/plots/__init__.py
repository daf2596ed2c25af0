"""All that matplotlib draws: nothing outside this folder knows it."""
