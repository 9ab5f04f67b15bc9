"""Notifications: decides what is worth one, and has a short-lived process send it through Apprise."""
