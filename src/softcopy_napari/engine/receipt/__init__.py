"""The receipt of a copy: its checksum file and its JSON file."""
