"""Checks of a recorded dataset: what would spoil a training, and where.

Each check looks at one episode after the other (`see`), remembers little, and says at the end what it found
(`findings`). Memory is that of one episode, however long the dataset is.
"""
