# SPDX-License-Identifier: BSD-2-Clause
"""The image that a machine boots: by the tools that make one."""

import os
import subprocess
import sys

from .places import TOOLS


def tool(name, *arguments):
    if subprocess.run([os.path.join(TOOLS, name), *arguments]).returncode:
        sys.exit(2)     # it has said why


def for_machine(opts, folder):
    """The configuration as the hypervisor reads it: a copy in FOLDER where it is not FILE itself."""
    text = opts.read.for_machine()
    if text == opts.read.edited(lambda e: None):
        return opts.conf
    path = os.path.join(folder, "aerostat.conf")
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as f:
        f.write(text)
    return path


def make(opts, image, files):
    """FILES: what the configuration names, as {name: path}."""
    if opts.firmware == "uefi":
        loader = os.path.join(os.path.dirname(opts.hv), "BOOTX64.EFI")
        tool("mkimage", "-o", image, "-k", opts.hv, "-e", loader, "-c", opts.conf)
        return
    modules = {"aerostat.conf": for_machine(opts, os.path.dirname(image)), **files}
    tool("mkiso", "-o", image, "-k", opts.hv,
         *([f"-a{opts.args}"] if opts.args else []),    # in one word: it may begin with "-"
         *(word for name, path in modules.items() for word in ("-m", f"{name}={path}")))
