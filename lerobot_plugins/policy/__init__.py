"""What every policy of the zoo shares: configuration fields, strict loading, randomness, action queues."""
