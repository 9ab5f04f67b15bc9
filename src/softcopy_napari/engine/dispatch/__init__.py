"""Hands work to the copy processes and takes in what becomes of it."""
