"""The terminal front end: what the `softcopy` command shows, and the orders that it gives."""
