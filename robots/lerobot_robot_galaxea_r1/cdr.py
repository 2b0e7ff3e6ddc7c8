"""Reading CDR, the encoding of ROS 2 on DDS, where pictures must not become lists of numbers."""

import struct

_ENCAPSULATION = 4  # two bytes of encoding, two of options; alignment counts from behind them


class CdrReader:
    """Reads the members of one message in order.

    Args:
        data: The message with its encapsulation header, plain CDR of either byte order.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, _ENCAPSULATION
        self._order = "<" if data[1] & 1 else ">"

    def uint8(self) -> int:
        """The next member, one byte."""
        return self._number("B", 1)

    def int32(self) -> int:
        """The next member, signed."""
        return self._number("i", 4)

    def uint32(self) -> int:
        """The next member, unsigned."""
        return self._number("I", 4)

    def string(self) -> str:
        """The next member; on the wire it ends in a zero byte."""
        return self.bytes()[:-1].decode()

    def bytes(self) -> bytes:
        """The next member, a sequence of bytes."""
        length = self.uint32()
        self._at += length
        return self._data[self._at - length : self._at]

    def _number(self, code: str, size: int) -> int:
        self._at += -(self._at - _ENCAPSULATION) % size
        (number,) = struct.unpack_from(self._order + code, self._data, self._at)
        self._at += size
        return number
