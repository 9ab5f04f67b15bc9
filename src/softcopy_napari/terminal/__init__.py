"""What the `softcopy` command shows and asks for in a terminal."""
