#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# For a guest's scripts: kernel_log prints what is wrong in the kernel's log, by the kernel's own levels.

# Bad at any level: some of these are said as mere information.
BAD='unchecked MSR|WARNING|BUG:|Call Trace|ACPI.*(Error|Warning)|Firmware (Bug|Warn)|refused|Bad page|unstable|stall|soft lockup|nobody cared'

# Warnings that are known, each with its reason.
grep -v '^#' >/tmp/known <<'END'
# The emulators' CPUs are those of chips with flaws, and have no microcode that mends them.
Speculative Return Stack Overflow: (IBPB-extending microcode not applied!|WARNING: See https:)
RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable
Spectre V2 : WARNING:
# A CPU that several VMs share comes late: the watchdog only reports that.
clocksource: (Long readout interval, skipping|timekeeping watchdog on CPU[0-9]+: .* retried [0-9]+ times before success)
# So does one whose machine is busy; twice in a row, and Linux takes another clock.
clocksource: timekeeping watchdog on CPU[0-9]+: .* read-back delay of [0-9]+ns, attempt [0-9]+, marking unstable$
hrtimer: interrupt took [0-9]+ ns$
# A VM has no PCI.
PCI: Fatal: No config space access function found$
PCI: System does not support PCI$
# Our module is not Debian's.
aerostat: loading out-of-tree module taints kernel\.$
# The small file systems that disks.sh makes have small inodes.
ext[24] filesystem being mounted at /mnt supports timestamps until 2038
# There is no place for a hibernation image: module-sleep.conf wants that to fail.
PM: Cannot (find swap device, try swapon -a|get swap writer)$
# A VM has no machine check architecture: the host handles memory that fails.
mce: Unable to init MCE device
END
# The second driver gets no balloon, and says so (balloon-first.conf).
! grep -q trial=first /proc/cmdline || cat >>/tmp/known <<'END'
virtio_balloon virtio[0-9]+: virtio: device refuses features:
aerostat AERO0001:00: the hypervisor refuses to start the balloon:
END
# A kernel that was started by another finds the timer of that one's local APIC still ticking.
! grep -qE '\<(second\>|loaded=)' /proc/cmdline || echo 'Spurious LAPIC timer interrupt on cpu 0$' >>/tmp/known

# One that was started by a crash has one CPU, and leaves the boot CPU alone: an INIT would be a reboot.
! grep -qw nr_cpus=1 /proc/cmdline || echo 'APIC: NR_CPUS/possible_cpus limit of 1 (almost )?reached|smpboot: [0-9]+ Processors exceeds NR_CPUS limit of 1$' >>/tmp/known

# A line is "<facility * 8 + level>[time] text": levels to 4 are warnings and worse.
kernel_log() {
	dmesg -r | awk -v bad="$BAD" '
		{ line = $0; level = 4 }
		match(line, /^<[0-9]+>/) { level = substr(line, 2, RLENGTH - 2) % 8; line = substr(line, RLENGTH + 1) }
		level <= 4 || line ~ bad' | grep -vE -f /tmp/known
}
