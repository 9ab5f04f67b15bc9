"""Freeing a source whose copy is complete: its files move to a grace folder, and are deleted later."""
