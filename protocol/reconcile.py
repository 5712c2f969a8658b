"""Finding out which items two sides do not share, at a cost that follows the difference.

Theory of operation. Both sides hold sorted sets of (timestamp, id). The initiator cuts its set
into ranges and sends a fingerprint of each. Whoever receives a fingerprint that its own range
has too says nothing more of that range; else it cuts the range into sixteen and answers with
their fingerprints, or, below 32 items, with the ids themselves. The initiator who receives ids
knows what both sides lack there; the responder answers ids with its own ids of that range. So
the two narrow down on the differences, a sixteenth at a time, until nothing is left to say.

The responder keeps no state: each message is answered from the set alone. A frame limit bounds
the size of an answer, whatever was asked: what does not fit is summed up in one fingerprint of
all the rest, which the initiator will find different and ask about again.

Byte-compatible with the reference implementation of Negentropy protocol v1 in every message
that it can send. Stricter in what is taken: numbers without leading zeros and within 64 bits,
bounds that do not descend, no id prefix at infinity, counts that the message can hold.

Source: Negentropy protocol v1; docs/protocol.md, "Reconciliation".
"""

from protocol.answer import Answer, opening
from protocol.errors import LocalProtocolError, MalformedError, SizeLimitError
from protocol.itemset import ItemSet
from protocol.ranges import VERSION, Received

__all__ = ["FRAME_SIZE_MIN", "NEED_COUNT_MAX", "Initiator", "ItemSet", "respond"]

FRAME_SIZE_MIN = 4096
NEED_COUNT_MAX = 4_000_000  # Ids that we let one peer make us remember.


def respond(items: ItemSet, message: bytes, *, frame_limit: int) -> bytes:
    """Answer an initiator's message.

    Args:
        items: Our set; the same for a whole conversation, or differences come up twice.
        message: As received; its size is the caller's to limit. Memory is bounded by it and by
            the frame limit.
        frame_limit: The answer's size limit in bytes, at least 4096; a few bytes can ask for a
            whole set, so that 0, no limit, is for peers that may have all of it at once.

    Returns:
        The answer. Of a protocol version we do not speak, one byte that names the one we do.

    Raises:
        MalformedError: The message breaks the grammar.
        SizeLimitError: The message has too many ranges.
        LocalProtocolError: The frame limit is neither 0 nor large enough.
    """
    _check_frame_limit(frame_limit)
    if _version(message) != VERSION:
        return bytes([VERSION])
    received = Received.from_message(message)
    output, _ = Answer(items, received, lists_ids=True).encode(frame_limit)
    return output


class Initiator:
    """One conversation about one set, from the side that wants to know.

    Attributes:
        have: Ids that only we hold, so far.
        need: Ids that only the other side holds, so far.
    """

    def __init__(
        self, items: ItemSet, *, frame_limit: int = 0, need_max: int = NEED_COUNT_MAX
    ) -> None:
        """Prepare; nothing is computed yet.

        Args:
            items: Our set, the same until the end.
            frame_limit: Size limit of what we send, 0 for none, else at least 4096.
            need_max: How many ids the other side may name that we do not hold.

        Raises:
            LocalProtocolError: The frame limit is neither 0 nor large enough.
        """
        _check_frame_limit(frame_limit)
        self.have: set[bytes] = set()
        self.need: set[bytes] = set()
        self._items = items
        self._frame_limit = frame_limit
        self._need_max = need_max
        self._is_initiated = False

    def initiate(self) -> bytes:
        """Return the first message.

        Raises:
            LocalProtocolError: Called twice.
        """
        if self._is_initiated:
            raise LocalProtocolError("a conversation is initiated once")
        self._is_initiated = True
        return opening(self._items)

    def reconcile(self, message: bytes) -> bytes | None:
        """Take the responder's answer; return what to ask next, or None when all is known.

        Raises:
            MalformedError: The answer breaks the grammar or is of another protocol version;
                nothing has changed.
            SizeLimitError: Too many ranges, or more ids needed than `need_max`; nothing has
                changed.
            LocalProtocolError: Called before `initiate`.
        """
        if not self._is_initiated:
            raise LocalProtocolError("initiate comes before reconcile")
        version = _version(message)
        if version != VERSION:
            raise MalformedError(f"the responder speaks version byte {version:#x}, not 0x61")
        answer = Answer(self._items, Received.from_message(message), lists_ids=False)
        output, range_count = answer.encode(self._frame_limit)
        have, need = answer.compare_lists(range_count)
        if len(self.need | need) > self._need_max:
            raise SizeLimitError(f"the responder names over {self._need_max} ids that we lack")
        self.have |= have
        self.need |= need
        return output if len(output) > 1 else None


def _version(message: bytes) -> int:
    if not message:
        raise MalformedError("an empty message has no version byte")
    if not 0x60 <= message[0] <= 0x6F:
        raise MalformedError(f"{message[0]:#04x} is no version byte (0x60 to 0x6f)")
    return message[0]


def _check_frame_limit(frame_limit: int) -> None:
    if frame_limit != 0 and frame_limit < FRAME_SIZE_MIN:
        raise LocalProtocolError(f"frame limit {frame_limit} is below {FRAME_SIZE_MIN}")
