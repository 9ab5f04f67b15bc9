"""What differs between file systems and operating systems: opening, times, names, free space, flushing."""
