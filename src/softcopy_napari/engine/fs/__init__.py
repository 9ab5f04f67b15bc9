"""What file systems and operating systems differ in, spelled once. Copy processes use it: nothing heavy is imported."""
