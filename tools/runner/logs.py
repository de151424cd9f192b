# SPDX-License-Identifier: BSD-2-Clause
"""The files under --log, or nothing."""

import os
import shutil
import sys

from .errors import Unusable


class Logs:
    def __init__(self, folder, taken=()):
        """TAKEN: names of logs that no VM's log can have."""
        self.folder, self.files = folder, {}
        self.taken = {"host", *taken}
        if folder:
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as e:
                self.unusable(folder, e)

    @staticmethod
    def unusable(path, error):
        raise Unusable(f"the logs' folder cannot be used: {path}: {error.strerror}") from None

    def vm(self, name, data):
        self.write(f"vm-{name}.log" if name in self.taken else f"{name}.log", data)

    def write(self, name, data):
        if not self.folder:
            return
        path = os.path.join(self.folder, name)
        try:
            if name not in self.files:
                self.files[name] = open(path, "wb", buffering=0)
            self.files[name].write(data)
        except OSError as e:
            self.unusable(path, e)

    def keep(self, path):
        """A copy of a log that an emulator wrote, if it has written one."""
        if not self.folder or not os.path.exists(path):
            return
        try:
            shutil.copy(path, self.folder)
        except OSError as e:
            print(f"run: {path} is not copied to {self.folder}: {e.strerror}", file=sys.stderr)
