"""What robots' vectors mean: names of dimensions and conversions between layouts."""
