"""Checks of the machine: small functions that return a finding each, and never ask the network unasked."""
