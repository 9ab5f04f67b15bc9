"""The sides that a copy worker copies to: local folders and object stores, behind one protocol."""
