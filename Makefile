# SPDX-License-Identifier: BSD-2-Clause
# One entry for everything; `make help` lists it.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
BUILD ?= build
CC := gcc
Q := $(if $(V),,@)

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unversioned)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wvla -Wno-missing-field-initializers
FREESTANDING := -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
	-fno-strict-aliasing -fcf-protection=none

# --- the hypervisor ------------------------------------------------------------------

HV_CFLAGS := -std=gnu17 -O2 -g -I. $(WARNINGS) $(FREESTANDING) -mcmodel=kernel \
	-DVERSION='"$(VERSION)"' $(if $(BREAK),-DBREAK_$(BREAK))
HV_SRCS := $(wildcard boot/*.c hv/*.c hv/base/*.c hv/dev/*.c mm/*.c arch/x86_64/*/*.c)
HV_ASM := $(wildcard arch/x86_64/*/*.S)
HV_OBJS := $(HV_SRCS:%.c=$(BUILD)/%.o) $(HV_ASM:%.S=$(BUILD)/%.o)
HV := $(BUILD)/aerostat.elf

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(HV_CFLAGS) -MMD -MP -c $< -o $@

LINK = $(CC) -nostdlib -static -no-pie -Wl,-T,boot/link.lds -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

# Linked twice: the first gives the symbols that the second carries.
$(HV): $(HV_OBJS) boot/link.lds tools/symbols
	@echo "  LINK $@"
	$(Q)tools/symbols > $(BUILD)/symbols0.S
	$(Q)$(CC) $(HV_CFLAGS) -c $(BUILD)/symbols0.S -o $(BUILD)/symbols0.o
	$(Q)$(LINK) $(HV_OBJS) $(BUILD)/symbols0.o -o $(BUILD)/stage1.elf
	$(Q)tools/symbols $(BUILD)/stage1.elf > $(BUILD)/symbols.S
	$(Q)$(CC) $(HV_CFLAGS) -c $(BUILD)/symbols.S -o $(BUILD)/symbols.o
	$(Q)$(LINK) $(HV_OBJS) $(BUILD)/symbols.o -o $@

-include $(HV_OBJS:.o=.d)

# --- guests ------------------------------------------------------------------------

GUEST_CFLAGS := -std=gnu17 -O2 -g -I. $(WARNINGS) $(FREESTANDING) -Wno-return-type
GUEST_NAMES := $(basename $(notdir $(wildcard tests/guest/*.c)))
GUESTS := $(GUEST_NAMES:%=$(BUILD)/guests/%.elf)
BARE_SRCS := $(wildcard guest-driver/*.c guest-driver/bare/*.c) guest-driver/bare/crt0.S
BARE_OBJS := $(addprefix $(BUILD)/guest/,$(addsuffix .o,$(BARE_SRCS)))

$(BUILD)/guest/%.o: %
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

.PHONY: all
all: $(HV) $(GUESTS)

# --- checks ------------------------------------------------------------------------

HEADERS := $(wildcard $(addsuffix /*.h,boot hv hv/base hv/dev mm arch/x86_64/* \
	guest-driver guest-driver/bare))
ALONE := $(HEADERS:%=alone/%)

.PHONY: check objects headers $(ALONE)

check: ## Formatting, two compilers, walls between folders, static analysis
	$(Q)tools/check

# All that we compile; CC and BUILD say with what and where.
objects: $(HV_OBJS) $(BARE_OBJS) $(GUEST_NAMES:%=$(BUILD)/guest/tests/guest/%.c.o)

# Each header, first in a file of its own.
headers: $(ALONE)

$(ALONE): alone/%: %
	$(Q)echo '#include <$<>' | $(CC) $(HV_CFLAGS) -fsyntax-only -x c -

include tests/unit/unit.mk
