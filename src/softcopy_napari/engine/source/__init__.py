"""What is known of a source: its folders, its metadata, its writers, and whether they are done."""
