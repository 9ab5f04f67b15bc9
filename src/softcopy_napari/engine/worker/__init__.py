"""The copy process: it copies, compares and verifies files, and answers its pool in the engine."""
