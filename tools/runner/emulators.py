# SPDX-License-Identifier: BSD-2-Clause
"""All emulators, and which is the best here."""

import shutil

from .emulator import Bochs
from .nested import Nested, NestedIntel
from .qemu import Kvm, Qemu, kvm_lacks

EMULATORS = {"bochs": Bochs, "qemu": Qemu, "kvm": Kvm, "nested": Nested,
             "nested-intel": NestedIntel}


def best_emulator():
    """The fastest that can show this hypervisor, and why."""
    lack = kvm_lacks()
    if not shutil.which(Qemu.program):
        return "bochs", f"Bochs emulates VT-x, slowly; {Qemu.program} is not installed"
    if not lack:
        return "kvm", "QEMU with KVM, which can nest here"
    return "qemu", f"QEMU TCG emulates SVM; no KVM: {lack}"
