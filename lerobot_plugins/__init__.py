"""The core of the zoo: everything that policies, robots and dataset bridges share.

Importing this package is cheap: each room is imported by name when it is needed.
"""

__version__ = "0.1.0"
