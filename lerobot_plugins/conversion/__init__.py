"""The writer of LeRobotDataset v3 that every dataset bridge shares.

A bridge offers its episodes as an `EpisodeSource`; `write_dataset` stages them in parallel, survives any
interruption, and assembles the dataset from episode order alone.
"""
