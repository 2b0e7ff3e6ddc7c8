"""Policies behind a websocket, in the protocols of openpi and OmniGibson."""
