# SPDX-License-Identifier: BSD-2-Clause
"""Where the tree is."""

import os

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(TOOLS)
