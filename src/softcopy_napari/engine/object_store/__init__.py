"""Object stores: requests to them, what their errors mean, and what is known of the objects there."""
