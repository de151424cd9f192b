# SPDX-License-Identifier: BSD-2-Clause
"""What tools/run is made of, and the readers that other tools share with it.

conf      aerostat.conf: sections, keys, and the files that they name
expect    its lines "#!": the machine that it asks for, and what a test expects
text      numbers and names, as people and as machine lines have them
summary   what was learned from it; report says so; verdict judges it
table     the table of VMs; screen shows it; picture draws it over time
follower  takes the bytes apart; logs keeps them in files
emulator, qemu, nested   how an image is run; emulators chooses among them
machine   the emulator's process, its serial port and the keyboard
options, main            the command line, and all of it together
"""
