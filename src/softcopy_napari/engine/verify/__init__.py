"""Checks data by content: for `softcopy verify`."""
