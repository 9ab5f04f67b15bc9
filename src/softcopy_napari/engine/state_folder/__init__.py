"""The state folder: where engines are found, and who writes into which destination."""
