# SPDX-License-Identifier: BSD-2-Clause
"""Lines of VMs in what the host's serial port says.

"NAME| text" ends a line of the VM NAME.  "NAME|+text" is a piece of one that goes on: the VM
paused in the middle of it, or the line is long.  Lines of others may come between the pieces.
"""

import re

WHOLE_MAX = 1 << 16     # of a line that is put together

PIECE = re.compile(r"([A-Za-z0-9_.-]{1,64})\|([ +])(.*)")
# From here on the VM's bytes come as they are: the rest of its line, too.
TURN = re.compile(r"@console ([A-Za-z0-9_-]{1,64}): ")


class Joiner:
    """Puts the pieces of lines together."""

    def __init__(self):
        self.begun = {}     # name of a VM: its line so far

    def line(self, text):
        """The whole line of which TEXT, a line without its end, is the last piece; None: more will come."""
        turn = TURN.match(text)
        if turn:
            self.begun.pop(turn[1], None)
        piece = PIECE.fullmatch(text)
        if not piece:
            return text
        name, mark, rest = piece.groups()
        whole = self.begun.pop(name, "") + rest
        if mark == "+" and len(whole) < WHOLE_MAX:
            self.begun[name] = whole
            return None
        return f"{name}| {whole}"

    def rest(self):
        """The lines that have begun and not ended."""
        lines = [f"{name}| {text}" for name, text in self.begun.items()]
        self.begun = {}
        return lines


def joined(text):
    """TEXT with each line of a VM in one piece, where its last piece was."""
    joiner = Joiner()
    lines = [joiner.line(line) for line in text.split("\n")]
    end = lines.pop() if lines[-1] == "" else None
    return "\n".join([line for line in lines if line is not None] + joiner.rest() +
                     ([end] if end is not None else []))
