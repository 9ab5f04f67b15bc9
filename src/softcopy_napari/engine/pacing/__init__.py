"""How fast to copy while an acquisition goes on."""
