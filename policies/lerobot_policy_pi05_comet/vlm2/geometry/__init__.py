"""Geometry encoders: where in space the patches of a picture lie, behind one interface."""
