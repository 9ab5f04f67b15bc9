"""Targets: what to copy where, and how; from two paths or from a targets file."""
