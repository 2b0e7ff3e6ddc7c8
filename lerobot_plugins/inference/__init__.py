"""What a policy of any type predicts for given observations: from files, or for every frame of a dataset."""
