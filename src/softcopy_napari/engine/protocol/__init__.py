"""What engines and front ends say to each other, and the local connection that carries it."""
