"""How long a message was on its way, told from stamps of a clock that is not ours.

Arrival minus stamp is delay plus the difference of the clocks. The smallest seen is taken for no delay at
all; what lies above it is delay. So a connection that delivers old measurements late is noticed, which the
time of arrival alone would call fresh.
"""

# How far two clocks may drift apart, seconds per second; crystals do a quarter of it.
DRIFT = 2e-4


class Lateness:
    """The delay of one topic's messages beyond the shortest."""

    def __init__(self) -> None:
        self._least: float | None = None
        self._arrived_s = 0.0
        self._sender: object = None

    def __call__(self, stamp_s: float, arrived_s: float, sender: object = None) -> float:
        """Seconds that this message was later than the quickest ones of its sender; 0 without a stamp.

        A sender's clock that is set back looks like a delay, too, for as long as it is the same sender.
        """
        if not stamp_s:
            return 0.0
        if sender != self._sender:
            self._least, self._sender = None, sender
        offset = arrived_s - stamp_s
        least = offset if self._least is None else self._least + DRIFT * (arrived_s - self._arrived_s)
        self._least, self._arrived_s = min(offset, least), arrived_s
        return offset - self._least
