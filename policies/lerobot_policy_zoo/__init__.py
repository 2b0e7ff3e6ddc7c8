"""The door LeRobot knocks at: importing this package registers every plugin of the zoo.

LeRobot imports the module that carries the distribution's name and knows no entry points; the registry
knows them, also those that other distributions declare.
"""

from lerobot_plugins.registry import load_host_plugins

load_host_plugins()
