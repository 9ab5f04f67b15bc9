"""What the user is told of a copy: counts, rates, failures, and a forecast."""
