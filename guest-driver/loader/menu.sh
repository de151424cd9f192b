#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a file system has to boot.  Sourced by guest-driver/loader/init, and by nobody else: tests/tools/test_loader.py
# runs it on the host.  LOADER is the folder with the .awk files.
#
# read_menu ROOT prints a menu, and fails if there is none.  A menu is lines FIELD VALUE:
#
#   entry N         from 1; the fields of this entry follow
#   position 1>0    where GRUB has it; id, title: its other names
#   linux PATH      the kernel, by its path in the file system
#   initrd PATH...  these files one after the other; may be empty
#   options TEXT    the kernel's command line
#   default N       the entry that is booted if nobody chooses
#   missing NAME    GRUB's default is NAME, and no entry is called so
#   from FILE       where the menu comes from

# field MENU N NAME: a field of entry N.
field() {
	awk -v n="$2" -v name="$3" '
		$1 == "entry" { inside = $2 == n }
		inside && $1 == name { sub(/^[^ ]* ?/, ""); print; exit }' "$1"
}

# of_menu MENU NAME: a field of the menu itself.
of_menu() { sed -n "s/^$2 //p" "$1" | tail -n 1; }

# Where GRUB and the Boot Loader Specification's files are: on a root file system, or on one for /boot.
first_of() {
	for file; do
		[ ! -f "$file" ] || { echo "$file"; return; }
	done
	return 1
}

read_grub() {
	cfg=$(first_of "$1/boot/grub/grub.cfg" "$1/boot/grub2/grub.cfg" "$1/grub/grub.cfg" \
		"$1/grub2/grub.cfg") || return
	grubenv=$(first_of "${cfg%/*}/grubenv") || grubenv=/dev/null
	menu=$(awk -v env="$grubenv" -f "$LOADER/grub.awk" "$cfg")
	[ -n "$menu" ] || return
	echo "$menu"
	echo "from ${cfg#"$1"}"
}

read_bls() {
	for folder in "$1/boot/loader" "$1/loader" "$1/boot/efi/loader" "$1/efi/loader"; do
		for conf in "$folder"/entries/*.conf; do
			[ -f "$conf" ] || continue
			grubenv=$(first_of "$1/boot/grub/grubenv" "$1/boot/grub2/grubenv" "$1/grub/grubenv" \
				"$1/grub2/grubenv") || grubenv=/dev/null
			settings=$(first_of "$folder/loader.conf") || settings=/dev/null
			awk -v env="$grubenv" -v settings="$settings" -f "$LOADER/bls.awk" "$folder"/entries/*.conf
			echo "from ${folder#"$1"}/entries"
			return
		done
	done
	return 1
}

# What a Debian without a boot loader has: links to the newest kernel, and to the one before.
read_links() {
	found=0
	for old in "" .old; do
		for folder in "" /boot; do
			kernel=$folder/vmlinuz$old
			{ [ -e "$1$kernel" ] || [ -h "$1$kernel" ]; } || continue
			found=$((found + 1))
			initrd=$folder/initrd.img$old
			{ [ -e "$1$initrd" ] || [ -h "$1$initrd" ]; } || initrd=
			printf 'entry %s\nposition %s\nid %s\ntitle %s\nlinux %s\ninitrd %s\n' \
				$found $((found - 1)) "vmlinuz$old" "$kernel" "$kernel" "$initrd"
			echo "options root=$2 ro console=ttyS0"
			break
		done
	done
	[ $found -gt 0 ] || return
	echo "default 1"
	echo "from /vmlinuz"
}

# read_menu ROOT DEVICE: DEVICE is what a kernel would call the disk or partition.
read_menu() { read_grub "$1" || read_bls "$1" || read_links "$1" "$2"; }

# real_file ROOT PATH: the file's path here, with symbolic links followed inside of ROOT; fails if
# there is none.
real_file() {
	file=$2
	for _ in 1 2 3 4 5 6 7 8; do
		[ -h "$1$file" ] || break
		target=$(readlink "$1$file")
		case $target in
		/*) file=$target ;;
		*) file=${file%/*}/$target ;;
		esac
	done
	# Nothing outside of ROOT, whatever a link says.
	case /$file/ in */../*) return 1 ;; esac
	[ -f "$1$file" ] && echo "$1$file"
}
