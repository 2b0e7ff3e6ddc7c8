"""The command itself: how it ends."""

import subprocess
import sys

CODE = """
import sys
from lerobot_plugins.cli import list_plugins, main
def talk(arguments):
    for _ in range(100_000):
        print("a line of many")
    return 0
list_plugins.run = talk
sys.exit(main.main(["list"]))
"""


def test_a_reader_that_stops_reading_is_no_error():
    command = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "a line of many\n"
    command.stdout.close()
    assert command.stderr is not None
    assert command.stderr.read() == ""
    assert command.wait() == 141
    command.stderr.close()
