# SPDX-License-Identifier: BSD-2-Clause
"""The image that a machine boots: by the tools that make one."""

import os
import subprocess
import sys

from .places import TOOLS


def tool(name, *arguments):
    if subprocess.run([os.path.join(TOOLS, name), *arguments]).returncode:
        sys.exit(2)     # it has said why


def make(opts, image, files):
    """FILES: what the configuration names, as {name: path}."""
    if opts.firmware == "uefi":
        loader = os.path.join(os.path.dirname(opts.hv), "BOOTX64.EFI")
        tool("mkimage", "-o", image, "-k", opts.hv, "-e", loader, "-c", opts.conf)
        return
    modules = {"aerostat.conf": opts.conf, **files}
    tool("mkiso", "-o", image, "-k", opts.hv,
         *([f"-a{opts.args}"] if opts.args else []),    # in one word: it may begin with "-"
         *(word for name, path in modules.items() for word in ("-m", f"{name}={path}")))
