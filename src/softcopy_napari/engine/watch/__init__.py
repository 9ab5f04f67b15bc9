"""File system events of a source: heard from the system, and queued for the job."""
