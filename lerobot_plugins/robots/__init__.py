"""What all robot plugins share: backends, safety, watchdog, simulation; knows no SDK."""
