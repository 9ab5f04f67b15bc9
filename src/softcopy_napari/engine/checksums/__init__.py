"""Checksums of files at the destination: known from earlier runs, or to be read back."""
