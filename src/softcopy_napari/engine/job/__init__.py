"""One target's life, from waiting for its source to complete and beyond."""
