"""The state of every file of a target."""
