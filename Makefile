# SPDX-License-Identifier: BSD-2-Clause
# One entry for everything; `make help` lists it.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
BUILD ?= build
CC := gcc
Q := $(if $(V),,@)

# "0.2.0" at that release's tag or outside of a checkout, "0.2.0+COMMIT" elsewhere.
RELEASE := $(file <VERSION)
COMMIT := $(filter-out v$(RELEASE),$(shell git describe --always --dirty 2>/dev/null))
VERSION := $(RELEASE)$(addprefix +,$(COMMIT:v$(RELEASE)-%=%))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wvla -Wno-missing-field-initializers
FREESTANDING := -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-fno-strict-aliasing -fcf-protection=none -falign-functions=8 -falign-loops=1 \
	$(if $(findstring clang,$(CC)),,-falign-jumps=1 -falign-labels=1)

# --- the hypervisor ------------------------------------------------------------------

# gcc's and clang's words for retpolines whose thunks are ours (arch/x86_64/cpu/thunks.S).
THUNKS := $(if $(findstring clang,$(CC)),-mretpoline-external-thunk, \
	-mindirect-branch=thunk-extern -mindirect-branch-register)
HV_CFLAGS := -std=gnu17 -O2 -g -I. $(WARNINGS) $(FREESTANDING) -mcmodel=kernel \
	$(THUNKS) -fdata-sections -DVERSION='"$(VERSION)"' $(if $(BREAK),-DBREAK_$(BREAK)) \
	$(if $(COUNT),-DCOUNT_EXITS)
HV_ROOMS := vm exit emulate memory control config block drv dev apic load base
HV_SRCS := $(wildcard boot/*.c $(HV_ROOMS:%=hv/%/*.c) mm/*.c arch/x86_64/*/*.c) \
	$(if $(COUNT),tests/count.c)
HV_ASM := $(wildcard arch/x86_64/*/*.S)
HV_OBJS := $(HV_SRCS:%.c=$(BUILD)/%.o) $(HV_ASM:%.S=$(BUILD)/%.o) $(BUILD)/font.o
HV := $(BUILD)/aerostat.elf

# Rooms that run seldom are built small: the image has a bar, and the caches are the guests'.
# A room has one flag.
HV_SMALL := boot/% $(addprefix hv/,control/% config/% block/% dev/% drv/% load/% base/%) \
	arch/x86_64/cpu/% arch/x86_64/pc/% arch/x86_64/quirks/% arch/x86_64/time/%
$(filter $(HV_SMALL:%=$(BUILD)/%),$(HV_OBJS)): HV_CFLAGS += -Os

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c $< -o $@

# Objects that name the version are compiled anew when it changes, and only then.
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
FORCE:
$(BUILD)/hv/base/version.o $(BUILD)/efi/boot/efi/main.c.o: $(BUILD)/version

# Tables for guests: ASL (iasl has no macros with arguments) to AML to an object with its bytes.
$(BUILD)/hv/load/dsdt.o: hv/load/dsdt.asl Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x c $< -o $(@D)/dsdt.i
	$(Q)iasl -p $(@D)/dsdt $(@D)/dsdt.i >$(@D)/dsdt.log || { cat $(@D)/dsdt.log; exit 1; }
	$(Q)cd $(@D) && objcopy -I binary -O elf64-x86-64 \
		--rename-section .data=.rodata,alloc,load,readonly,data,contents \
		--add-section .note.GNU-stack=/dev/null dsdt.aml dsdt.o
HV_OBJS += $(BUILD)/hv/load/dsdt.o

$(BUILD)/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c $< -o $@

# The letters of the screen: docs/notes.md says why this font.
FONT := /usr/share/consolefonts/Lat15-Fixed16.psf.gz

$(BUILD)/font.S: $(FONT) tools/font
	@mkdir -p $(@D)
	$(Q)tools/font $< > $@.new && mv $@.new $@

$(FONT):
	@tools/deps build

$(BUILD)/font.o: $(BUILD)/font.S
	$(Q)$(CC) $(HV_CFLAGS) -c $< -o $@

LINK = $(CC) -nostdlib -static -no-pie -Wl,-T,boot/link.lds -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

# Linked twice: the first gives the symbols that the second carries.
$(HV): $(HV_OBJS) boot/link.lds tools/symbols
	@echo "  LINK $@"
	$(Q)tools/symbols > $(BUILD)/symbols0.S
	$(Q)$(CC) $(HV_CFLAGS) -c $(BUILD)/symbols0.S -o $(BUILD)/symbols0.o
	$(Q)$(LINK) $(HV_OBJS) $(BUILD)/symbols0.o -o $(BUILD)/stage1.elf
	$(Q)tools/symbols $(BUILD)/stage1.elf > $(BUILD)/symbols.S
	$(Q)$(CC) $(HV_CFLAGS) -Wa,--fatal-warnings -c $(BUILD)/symbols.S -o $(BUILD)/symbols.o
	$(Q)$(LINK) $(HV_OBJS) $(BUILD)/symbols.o -o $@

-include $(HV_OBJS:.o=.d)

include boot/efi/efi.mk

# --- guests ------------------------------------------------------------------------

GUEST_CFLAGS := -std=gnu17 -O2 -g -I. $(WARNINGS) $(FREESTANDING) -Wno-return-type
GUEST_NAMES := $(basename $(notdir $(wildcard tests/guest/*.c)))
GUESTS := $(GUEST_NAMES:%=$(BUILD)/guests/%.elf)
BARE_SRCS := $(wildcard guest-driver/*.c guest-driver/bare/*.c) guest-driver/bare/crt0.S
BARE_OBJS := $(addprefix $(BUILD)/guest/,$(addsuffix .o,$(BARE_SRCS)))

$(BUILD)/guest/%.o: % Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

# 64-bit code in the 32-bit ELF container that multiboot 1 asks for.
$(BUILD)/guests/%.elf: $(BUILD)/guest/tests/guest/%.c.o $(BARE_OBJS) guest-driver/bare/link.lds
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,-T,guest-driver/bare/link.lds -Wl,--build-id=none \
		-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096 \
		$(BARE_OBJS) $< -o $@.64
	$(Q)objcopy -S -O elf32-i386 $@.64 $@

-include $(BARE_OBJS:.o=.d) $(GUEST_NAMES:%=$(BUILD)/guest/tests/guest/%.c.d)

.PHONY: all hypervisor FORCE
all: $(HV) $(GUESTS) ## Build the hypervisor and the guests (no emulator)
hypervisor: $(HV)

# --- run, test, measure ---------------------------------------------------------------

CONF ?= examples/overcommit.conf
# The machine that CONF asks for, as in "#! smp=2 mem=128".
conf_word = $(shell tools/conf word "$(CONF)" $(1) $(2))$(if \
	$(filter-out 0,$(.SHELLSTATUS)),$(error $(CONF) cannot be used))
ARGS ?= $(call conf_word,args)
MEM ?= $(call conf_word,mem,160)
SMP ?= $(call conf_word,smp,2)
TIMEOUT ?= 300

RUN_ARGS = $(if $(EMU),--emu $(EMU)) --mem $(MEM) --smp $(SMP) \
	$(if $(filter file,$(origin TIMEOUT)),--unattended-timeout,--timeout) $(TIMEOUT) \
	$(if $(INTERACTIVE),--interactive) \
	$(if $(CPU),--cpu $(CPU)) $(if $(FIRMWARE),--firmware $(FIRMWARE)) $(if $(LOG),--log $(LOG)) \
	$(if $(ARGS),--args "$(ARGS)")

# What runs nested: under KVM on an emulated CPU an exit is slow, and so is time.
NESTED_TESTS ?= nested balloon cpu
NESTED_INTEL_TESTS ?= nested-intel

.PHONY: run linux linux-amd64 loader foreign debian debian-server debian-test module module-sparse module-lockdep test-dkms test test-debian image bench machine-test hostile-test firmware-test screen-test console-test test-nested test-nested-intel soak integrity broken deps clean help

# What CONF's guests are made of, if they are Linux.
linux_files = made=$$(tools/conf made-by "$(CONF)" $(BUILD)) && \
	{ [ -z "$$made" ] || $(MAKE) --no-print-directory $$made; }

run: ## Boot in an emulator: the main job, three Debians on half of their memory, or CONF
	$(Q)tools/deps build run $(if $(filter uefi,$(FIRMWARE)),image)
	$(Q)$(linux_files)
	$(Q)$(MAKE) --no-print-directory all $(if $(filter uefi,$(FIRMWARE)),$(EFI))
	$(Q)disks=$$(tools/conf disks "$(CONF)" $(BUILD)) && \
		tools/run --hv $(HV) --conf $(CONF) --svg $(BUILD)/run.svg $(RUN_ARGS) $$disks

image: ## build/aerostat.img, for a USB stick, with CONF and its guests
	$(Q)tools/deps build image
	$(Q)$(MAKE) --no-print-directory all $(EFI)
	$(Q)tools/mkimage -o $(BUILD)/aerostat.img -k $(HV) -e $(EFI) -a "$(ARGS)" -V $(VERSION) \
		-c $(if $(filter file,$(origin CONF)),tests/run/demo.conf,$(CONF))
	@echo "  IMAGE $(BUILD)/aerostat.img; docs/hardware.md tells how to write it to a stick"

test: ## All tests: on the host, then whole machines
	$(Q)tools/deps build unit run
	$(Q)tests/all $(MAKE)

# What tests/run/*.conf ask for with "#! break:".
broken: ## Hypervisors with a part left out, whose tests must fail
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/break-shootdown BREAK=shootdown hypervisor

machine-test: all broken ## Whole-machine tests only; TESTS="cpu apic" chooses
	$(Q)$(MAKE) --no-print-directory $(LINUX) $(LINUX_AMD64) || \
		echo "linux: Debian's kernels could not be fetched; the tests with them are skipped"
	$(Q)[ ! -e $(LINUX) ] || $(MAKE) --no-print-directory $(MODULE)
	$(Q)$(MAKE) --no-print-directory $(LOADER) $(LOADER_DISK) || \
		echo "loader: kexec-tools could not be fetched; the test with the loader is skipped"
	$(Q)$(MAKE) --no-print-directory $(FOREIGN) || \
		echo "foreign: Xen and GRUB could not be fetched; the test with them is skipped"
	$(Q)tests/run/run $(if $(EMU),--emu $(EMU) --) $(TESTS)

hostile-test: all ## Guests that want to hurt others, beside a victim that judges, in QEMU (1 minute)
	$(Q)tests/run/run --emu qemu -- hostile

firmware-test: ## The image, booted by BIOS and by UEFI in QEMU; TESTS="uefi bios" chooses
	$(Q)tools/deps build run image
	$(Q)$(MAKE) --no-print-directory image CONF=tests/run/demo.conf ARGS=
	$(Q)tests/run/firmware --image $(BUILD)/aerostat.img --guests $(BUILD)/guests $(TESTS)

# The same as tests/run/integrity.conf, which takes a minute.
integrity: ## Three Debians' balloons move for ten minutes, and every byte is verified
	$(Q)tools/deps build run module
	$(Q)$(MAKE) --no-print-directory all $(MODULE)
	$(Q)tests/run/run --emu $(or $(EMU),qemu) -j 1 integrity-long

# A million entries take minutes; QEMU's SVM unless another emulator is asked for.
soak: ## Eight VMs, a million random lock and unlock entries, every byte verified
	$(Q)tools/deps build run
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/run/soak --hv $(HV) $(if $(SEED),--seed $(SEED)) $(if $(ENTRIES),--entries $(ENTRIES)) \
		$(if $(EMU),--emu $(EMU))

# Debian's kernel and busybox, fetched once.
LINUX := $(BUILD)/linux/initrd.cpio
LINUX_PROGRAMS := $(BUILD)/linux/bin/cpu $(BUILD)/linux/bin/memcheck
linux: ## A small Debian to run as a guest: build/linux/
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory $(LINUX)
$(LINUX): tools/linux tools/debian.py $(LINUX_PROGRAMS) $(wildcard tests/guest/linux/*.sh)
	$(Q)tools/linux --cache $(BUILD)/nested $(LINUX_PROGRAMS:%=--add %) -o $(@D)
	$(Q)seq 30000 >$(@D)/numbers

# Programs for it, which bring their libc along.
$(BUILD)/linux/bin/%: tests/guest/linux/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -static -pthread $(WARNINGS) -o $@ $< $(LINUX_LIBS)

# Power cuts: the guest has SQLite, and the disk forgets what was not flushed to it.
KILLS ?= 100
durability: ## KILLS power cuts under ext4 and SQLite: nothing that was safe is lost; then FLUSH is left out
	$(Q)tools/deps build run durability
	$(Q)$(MAKE) --no-print-directory all $(LINUX) $(BUILD)/linux/durable.cpio
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/break-flush BREAK=flush hypervisor
	$(Q)tests/durability/run --kills $(KILLS) $(if $(SEED),--seed $(SEED))
	$(Q)tests/durability/run --kills 20 --hv $(BUILD)/break-flush/aerostat.elf --expect-loss
$(BUILD)/linux/durable.cpio: $(LINUX) $(BUILD)/linux/bin/durable tests/durability/initrd
	$(Q)tests/durability/initrd $(LINUX) $(BUILD)/linux/bin/durable $@
$(BUILD)/linux/bin/durable: LINUX_LIBS := -lsqlite3 -lm -Wl,--no-warnings

# The balloon driver for Linux, for the kernel that `make linux` fetched, and a guest with it.
MODULE := $(BUILD)/linux/module.cpio
MODULE_SRCS := $(wildcard guest-driver/*.[ch] guest-driver/linux/* tests/guest/linux/* \
	tests/guest/linux/settarget/*) VERSION
module: ## The balloon driver for Debian's kernel: build/linux/module/linux/aerostat.ko
	$(Q)tools/deps run module
	$(Q)$(MAKE) --no-print-directory $(MODULE)
module-sparse: ## The same, with sparse looking at it
	$(Q)tools/deps run module
	$(Q)$(MAKE) --no-print-directory $(LINUX)
	$(Q)tools/linux-module --cache $(BUILD)/nested -o $(BUILD)/linux --sparse
$(MODULE): $(LINUX) tools/linux-module $(MODULE_SRCS) $(BUILD)/aeroctl
	$(Q)tools/linux-module --cache $(BUILD)/nested -o $(@D) --aeroctl $(BUILD)/aeroctl

# The same on a kernel of Debian's source that looks at every lock: not part of `make test`, since
# building it takes 15 minutes on a quiet machine and 3 GB.
LOCKDEP_TESTS ?= module module-sleep swap aeroctl
module-lockdep: ## The driver's tests on a kernel with PROVE_LOCKING, which is built first
	$(Q)tools/deps build run module lockdep
	$(Q)$(MAKE) --no-print-directory all $(LINUX) $(BUILD)/aeroctl
	$(Q)tools/linux-lockdep --cache $(BUILD)/nested -o $(BUILD)/lockdep --config tests/linux/lockdep.config
	$(Q)tools/linux-module --cache $(BUILD)/nested -o $(BUILD)/lockdep --aeroctl $(BUILD)/aeroctl \
		--kernel $(BUILD)/lockdep/kernel --initrd $(LINUX)
	$(Q)tests/run/run --emu qemu -j 1 --linux lockdep $(if $(TESTS),$(TESTS),$(LOCKDEP_TESTS))

# Packages that nothing else needs, and a kernel with its headers: not part of `make test`.
test-dkms: ## The driver's package in a fresh Debian, where DKMS builds it; about 3 minutes
	$(Q)tools/deps debian
	$(Q)$(MAKE) --no-print-directory -C guest-driver/linux deb OUT=$(abspath $(BUILD)/linux) >/dev/null
	$(Q)tests/run/dkms $(BUILD)/linux/aerostat-dkms_*_all.deb

# Debian's kernel for all machines; build/linux/ has that for virtual ones.
LINUX_AMD64 := $(BUILD)/linux-amd64/initrd.cpio
linux-amd64: ## The same with Debian's other kernel, linux-image-amd64: build/linux-amd64/
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory $(LINUX_AMD64)
$(LINUX_AMD64): tools/linux tools/debian.py $(LINUX_PROGRAMS) $(wildcard tests/guest/linux/*.sh)
	$(Q)tools/linux --kernel amd64 --cache $(BUILD)/nested $(LINUX_PROGRAMS:%=--add %) -o $(@D)

# Starts what is installed on a VM's disk (kernel = loader); and a disk for its test.
LOADER := $(BUILD)/loader/loader.cpio
LOADER_DISK := $(BUILD)/loader/disk.ext4
loader: ## What starts a VM's own system from its disk (kernel = loader): build/loader/
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory $(LOADER)
$(LOADER): tools/loader tools/debian.py $(wildcard guest-driver/loader/*)
	$(Q)tools/loader --cache $(BUILD)/nested -o $(@D)
$(LOADER_DISK): $(LINUX) $(LINUX_AMD64) tests/linux/loader-disk tests/linux/loader.grub.cfg
	@mkdir -p $(@D)
	$(Q)tests/linux/loader-disk $(<D) $(BUILD)/linux-amd64 $@

# Multiboot-1 kernels of Debian that know nothing of us.
FOREIGN := $(BUILD)/foreign/grub.elf
foreign: ## Xen and GRUB's core, to run as guests: build/foreign/
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory $(FOREIGN)
$(FOREIGN): tools/foreign tools/debian.py
	$(Q)tools/foreign --cache $(BUILD)/nested -o $(@D)

# Debian's packages, installed once; without packages.tar they are fetched again.
DEBIAN := $(BUILD)/debian/root.img
debian: debian-server ## Debians with systemd, to run as guests: a small one in a file, a stock one for a disk
	$(Q)$(MAKE) --no-print-directory $(DEBIAN)
$(DEBIAN): tools/debian-root tools/debian.py $(wildcard tests/guest/debian/*)
	$(Q)tools/debian-root --cache $(BUILD)/nested -o $(@D)

# A stock one for a partition, with GRUB's menu and a kernel of its own, which the loader boots.
DEBIAN_SERVER := $(BUILD)/debian/server.ext4
DEBIAN_UPGRADE := $(BUILD)/debian/upgrade.ext4
debian-server: ## The stock one alone: build/debian/server.ext4
	$(Q)tools/deps run debian
	$(Q)$(MAKE) --no-print-directory $(DEBIAN_SERVER)
$(DEBIAN_SERVER): tools/debian-server tools/debian.py
	$(Q)tools/debian-server --cache $(BUILD)/nested -o $(@D)
$(DEBIAN_UPGRADE): tools/debian-server tools/debian.py tests/guest/server/upgrade.sh
	$(Q)tools/debian-server --cache $(BUILD)/nested -o $(@D) --test

# Not part of `make test`: it has to fetch a whole Debian.
debian-test: loader ## The stock Debian by the loader: it installs another kernel and reboots into it
	$(Q)tools/deps debian
	$(Q)$(MAKE) --no-print-directory all $(DEBIAN_UPGRADE)
	$(Q)tests/run/run --emu $(or $(EMU),qemu) -- debian-loader

screen-test: all ## What the host's screen shows, in QEMU; CASES="32 text" chooses
	$(Q)tests/run/screen --keep $(BUILD)/test/screen $(CASES)

console-test: all ## Somebody types, at the console of several VMs; CASES="qemu/linux" chooses
	$(Q)tools/deps run
	$(Q)$(MAKE) --no-print-directory $(LINUX) || \
		echo "linux: Debian's kernel could not be fetched; the test with it is skipped"
	$(Q)tests/run/console $(CASES)

# Minutes, and packages that nothing else needs: not part of `make test`.
test-debian: ## Two Debians with systemd at once on one disk image, 2 to 3 minutes
	$(Q)tools/deps run debian
	$(Q)$(MAKE) --no-print-directory all $(DEBIAN)
	$(Q)tests/run/run --emu qemu -- debian

test-nested: ## In KVM, on Linux, on an emulated AMD CPU: no special hardware, 2 to 6 minutes
	$(Q)tools/deps build run
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/run/run --emu nested -j 1 $(NESTED_TESTS)

test-nested-intel: ## The same on an emulated Intel CPU: one guest, about 3 minutes
	$(Q)tools/deps build run
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/run/run --emu nested-intel -j 1 $(NESTED_INTEL_TESTS)

bench: ## What a guest pays, in instructions, and sizes
	$(Q)tools/deps build run policy
	$(Q)$(MAKE) --no-print-directory all $(POLICYSIM)
ifneq ($(ONLY),bare)
	$(Q)tools/deps run module
	$(Q)$(MAKE) --no-print-directory -s $(MODULE) || \
		echo "# Debian's kernel or its headers could not be fetched"
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/count COUNT=1 hypervisor
endif
	$(Q)tools/bench --hv $(HV) $(if $(EMU),--emu $(EMU)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(SIDES),--sides $(SIDES)) --count $(BUILD)/count/aerostat.elf \
		$(if $(MITIGATIONS),--mitigations $(MITIGATIONS)) $(if $(WRITE),--write)

deps: ## Install every package that any target needs (NO_INSTALL=1 only names them)
	$(Q)tools/deps build run image unit check policy

clean: ## Remove what was built
	rm -rf $(BUILD)

help: ## This list
	@echo "Targets:"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 22
	@echo "Variables:"
	@echo "  CONF=FILE     configuration to run [$(CONF)]"
	@echo "  EMU=NAME      emulator: bochs (VT-x), qemu (SVM), kvm, nested or nested-intel"
	@echo "                [run: the fastest here; tests and bench: bochs and qemu]"
	@echo "  FIRMWARE=NAME bios, or uefi (not in bochs) [bios]"
	@echo "  CPU=MODEL     its CPU model [the emulator's best]"
	@echo "  ARGS=WORDS    the hypervisor's command line: docs/debugging.md [what CONF asks for in #! args=]"
	@echo "  MEM=MiB       the machine's memory [what CONF asks for in #! mem=, or 160]"
	@echo "  SMP=N         its CPUs [what CONF asks for in #! smp=, or 2]"
	@echo "  TIMEOUT=s     end a run after so many seconds [$(TIMEOUT); none where somebody types]"
	@echo "  INTERACTIVE=1 what is typed goes to the machine, also if CONF has no console = NAME"
	@echo "  LOG=DIR       keep one file per VM and one for the host there"
	@echo "  TESTS=NAMES   for machine-test: tests/run/NAME.conf; for firmware-test, policy-experiments and"
	@echo "                module-lockdep: their cases"
	@echo "  CASES=NAMES   for screen-test and console-test: only these cases"
	@echo "  NESTED_TESTS=NAMES, NESTED_INTEL_TESTS=NAMES   for test-nested [$(NESTED_TESTS)]"
	@echo "                and test-nested-intel [$(NESTED_INTEL_TESTS)]"
	@echo "  FUZZ=N        for unit: the tests of the instruction decoder try N million instructions"
	@echo "  MITIGATIONS=M for bench: off, auto or force [off]"
	@echo "  ONLY=WHAT     for bench: bare (the bench guest), linux, balloon or disk (beside KVM) [all]"
	@echo "  SIDES=NAMES   for bench ONLY=balloon: measure only these of kvm, virtio, module anew"
	@echo "  WRITE=1       for bench: write the figures that were measured into docs/benchmarks.md"
	@echo "  SEED=N        for soak: repeats a run's decisions [from the clock]"
	@echo "  ENTRIES=N     for soak: how many entries [1000000]"
	@echo "  NO_INSTALL=1  do not install packages, only name what is missing"
	@echo "  PREFIX=DIR, DESTDIR=DIR   for install-aeroctl: where it goes [$(PREFIX)], below what [nothing]"
	@echo "  BUILD=DIR     where things are built [$(BUILD)]"
	@echo "  BREAK=NAME    leave a part out (shootdown); with a BUILD of its own, for tests that must fail"
	@echo "  COUNT=1       count exits by what they are for (tests/count.c); with a BUILD of its own"
	@echo "  V=1           show commands"

# --- checks ------------------------------------------------------------------------

HEADERS := $(wildcard $(addsuffix /*.h,boot hv hv/* mm arch/x86_64/* \
	guest-driver guest-driver/bare))
ALONE := $(HEADERS:%=alone/%)
TOOL_SRCS := $(wildcard tools/aeroctl/*.c tools/policysim/*.c)

.PHONY: check objects headers $(ALONE) $(TOOL_SRCS:%=syntax/%)

check: ## Formatting, two compilers, walls between folders, static analysis, documents, commits
	$(Q)tools/check

# All that we compile; CC and BUILD say with what and where.
objects: $(HV_OBJS) $(EFI_OBJS) $(BARE_OBJS) $(GUEST_NAMES:%=$(BUILD)/guest/tests/guest/%.c.o) \
	$(TOOL_SRCS:%=syntax/%)

# What is for a whole system, with its libraries.
$(TOOL_SRCS:%=syntax/%): syntax/%: %
	$(Q)$(CC) $(AEROCTL_CFLAGS) -I. -fsyntax-only $<

# Each header, first in a file of its own.
headers: $(ALONE)

$(ALONE): alone/%: %
	$(Q)echo '#include <$<>' | $(CC) $(HV_CFLAGS) -fsyntax-only -x c -

include tests/unit/unit.mk
include tests/fuzz/fuzz.mk
include tests/threads/threads.mk
include tools/policysim/policysim.mk
include tools/aeroctl/aeroctl.mk
