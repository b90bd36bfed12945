"""Changes of a valid file, each drawn from a generator: bits, bytes, lengths, numbers, pieces of others."""

import random
import re
import struct
from collections.abc import Callable, Sequence

Mutator = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
"""Takes a generator, the content, and the other seeds or words of the format; returns the changed content."""

MOST = 1 << 18  # bytes of a mutant, unless its seed has more: what grows without end says nothing new
_HEAD = 160  # most of what decides stands in the first bytes
_NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
_TEXTS = (
    *("0", "-0", "-1", "1", "2", "7", "1e309", "-1e309", "1e-320", "nan", "inf", "-inf", "0x10", "1_000", "1,5", "+.5"),
    *("1e8", "99999999999999999999", "4294967296", "9" * 400, "٣", "½", "true", "[]", "{}", "''", '""', "null", ""),
)
_ODD = ("\0", "\x1b[31m", "\r", "\n", "\u2028", "\u202e", "\ufeff", "\ud7ff", "é", "\x85", "<script>", "../../x", "\\")
_WORD = re.compile(rb"[A-Za-z]{4}|data|fmt ")
_NUMBER = re.compile(rb"[0-9][0-9.eE+-]*")


def place(draw: random.Random, size: int) -> int:
    """Returns a place in a content of a size, in half of the cases near its beginning."""
    return draw.randrange(max(1, min(size, _HEAD) if draw.random() < 0.5 else size))


def flip_bits(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with up to eight bits turned."""
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        changed[place(draw, len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def set_bytes(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with up to eight other bytes."""
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        changed[place(draw, len(changed))] = draw.choice((0, 255, 127, 128, draw.randrange(256)))
    return bytes(changed)


def flip_late(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with one bit turned in its second half, where samples and weights are."""
    changed = bytearray(content or b"\0")
    changed[draw.randrange(len(changed) // 2, len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncate(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content up to somewhere."""
    return content[: place(draw, len(content))]


def cut_out(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content without a piece."""
    start = place(draw, len(content))
    return content[:start] + content[start + draw.choice((1, 2, 4, 8, draw.randrange(1, 200))) :]


def repeat(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with a piece several times."""
    start = place(draw, len(content))
    piece = content[start : start + draw.choice((1, 4, 16, 64, 300))]
    return content[:start] + piece * draw.choice((2, 3, 17, 400)) + content[start:]


def splice(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the beginning of the content and the end of another one."""
    other = draw.choice(others) if others else content
    return content[: place(draw, len(content))] + other[place(draw, len(other)) :]


def put_number(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with a whole number at the edge of what its width holds, over bytes or between them."""
    width, order = draw.choice((1, 2, 4, 4, 8)), draw.choice("<>")
    value = (draw.choice(_NUMBERS) + draw.choice((0, 0, 1, -1))) % (1 << (8 * width))
    packed = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], value)
    start = place(draw, len(content))
    return content[:start] + packed + content[start + draw.choice((0, width, width, width)) :]


def change_size(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns the content with another length behind the name of a chunk."""
    names = list(_WORD.finditer(content, 0, 4096))
    if not names:
        return put_number(draw, content, others)
    start = draw.choice(names).end()
    old = int.from_bytes(content[start : start + 4], "little")
    sizes = (*_NUMBERS, old + 1, old - 1, old * 2, len(content), len(content) - start - 4)
    return content[:start] + struct.pack("<I", draw.choice(sizes) % 2**32) + content[start + 4 :]


def change_number(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns a text with something else in the place of a number: one digit in half of the cases."""
    found = list(_NUMBER.finditer(content, 0, 1 << 16))
    if not found:
        return put_text(draw, content, others)
    chosen = draw.choice(found)
    if draw.random() < 0.5:
        at = chosen.start() + draw.randrange(len(chosen[0]))
        return content[:at] + str(draw.randrange(10)).encode() + content[at + 1 :]
    return content[: chosen.start()] + draw.choice(_TEXTS).encode() + content[chosen.end() :]


def put_text(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns a text with a number, a letter that is seldom seen, or a long run, put somewhere."""
    text = draw.choice((draw.choice(_TEXTS), draw.choice(_ODD), draw.choice("[{(\"'=,\t") * draw.choice((1, 3, 3000))))
    start = place(draw, len(content))
    return content[:start] + text.encode() + content[start:]


def shuffle_lines(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Returns a text with two lines changed about, one taken out, or one twice."""
    lines = content.splitlines(keepends=True) or [b"\n"]
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    turn = draw.randrange(3)
    if turn == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif turn == 1:
        lines.insert(second, lines[first])
    else:
        del lines[first]
    return b"".join(lines)


def framed(change: Mutator) -> Mutator:
    """Returns what changes the header of a safetensors file and writes its true length in front of it."""

    def changed(draw: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
        length = int.from_bytes(content[:8], "little")
        header = change(draw, content[8 : 8 + min(length, len(content))], [each[8:] for each in others])
        return struct.pack("<Q", len(header)) + header + content[8 + length :]

    return changed


BYTES: tuple[Mutator, ...] = (flip_bits, set_bytes, truncate, cut_out, repeat, splice, put_number)
CHUNKS: tuple[Mutator, ...] = (*BYTES, change_size, change_size)
TEXT: tuple[Mutator, ...] = (*BYTES, *([change_number] * 5), put_text, put_text, shuffle_lines, shuffle_lines)
HEADER: tuple[Mutator, ...] = (*BYTES, *([flip_late] * 4), *(framed(each) for each in TEXT))


def mutate(draw: random.Random, content: bytes, others: Sequence[bytes], mutators: Sequence[Mutator]) -> bytes:
    """Returns the content after one to five changes."""
    most = max(MOST, 2 * len(content))
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 5))):
        content = draw.choice(mutators)(draw, content, others)[:most]
    return content
