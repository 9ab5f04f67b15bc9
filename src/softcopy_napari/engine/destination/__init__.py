"""What lies at a destination: whose data, what is left of other datasets, and what only it has."""
