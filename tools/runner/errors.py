# SPDX-License-Identifier: BSD-2-Clause
"""How a run ends before it has an end of its own."""


class Unusable(Exception):
    """Something that the user named cannot be used: one line says what; status 2."""


class Interrupted(Exception):
    """A signal, whose number is the argument."""
