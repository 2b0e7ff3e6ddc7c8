"""Robots as MuJoCo models without meshes, built from tables of joints: numbers, units, timing and pictures of
the real ones, no contacts."""
