"""The copy process: copies, compares and reads back files. Starts at once: nothing heavy is imported."""
