# SPDX-License-Identifier: BSD-2-Clause
# Fuzz targets: libFuzzer drives the sources and fakes that the unit tests link.
# docs/fuzzing.md tells how they are used.

FUZZ := $(BUILD)/fuzz
FUZZ_CC := clang
FUZZ_CFLAGS := -std=gnu17 -DLOCK_ORDER -O1 -g -I. $(WARNINGS) -fno-strict-aliasing -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all -DVERSION='"fuzz"'
# Only sources under test count as covered. libFuzzer also looks at their comparisons, except in
# files without magic numbers, because checksums would take most of the time.
FUZZ_UNCOMPARED := mm/% boot/acpi.c
FUZZ_COVERED := hv/% mm/% boot/% arch/%
fuzz_coverage = $(if $(filter $(FUZZ_COVERED),$(1)),-fsanitize=fuzzer-no-link) \
	$(if $(filter $(FUZZ_UNCOMPARED),$(1)),-fno-sanitize-coverage=trace-cmp)

# --- what targets link ---
fuzz_wrap = $(1:%=-Wl,--wrap=%)
FUZZ_COMMON := tests/fuzz/fuzz.c tests/fuzz/frames.c
FUZZ_LDFLAGS := $(call fuzz_wrap,buddy_free buddy_remove buddy_take buddy_take_largest \
	frames_add plat_scrub)

fuzz_machine_SRCS := $(GUEST) $(wildcard tests/fuzz/machine/*.c)
fuzz_machine_LDFLAGS := $(call fuzz_wrap,guest_write p2m_init p2m_lock p2m_report)
fuzz_virtio_SRCS := $(GUEST) tests/fuzz/virtio.c
fuzz_virtio_LDFLAGS := $(call fuzz_wrap,guest_read guest_write)
fuzz_insn_SRCS := $(GUEST) tests/fuzz/insn.c
fuzz_insn_LDFLAGS := $(call fuzz_wrap,guest_read)
fuzz_config_SRCS := $(test_config_SRCS) $(FAKE) $(FRAMES) tests/fuzz/config.c
fuzz_loader_SRCS := $(GUEST) tests/fuzz/loader.c
fuzz_boot_SRCS := $(BOOT) boot/consoles.c tests/fuzz/boot.c
fuzz_efi_SRCS := $(FAKE) $(FRAMES) boot/efi/info.c boot/efi/elf.c boot/multiboot.c boot/boot_info.c \
	tests/fuzz/efi.c
fuzz_pci_SRCS := $(test_pci_SRCS) tests/fuzz/pci.c
fuzz_devices_SRCS := $(GUEST) tests/fuzz/devices.c
fuzz_block_SRCS := $(test_block_SRCS) tests/fuzz/block.c

FUZZ_TARGETS := machine virtio devices insn config loader boot efi pci block

# --- how ---
fuzz_objs = $(patsubst %.c,$(FUZZ)/obj/%.o,$(sort $(FUZZ_COMMON) $(fuzz_$(1)_SRCS))) \
	$(if $(findstring hv/load/acpi.c,$(fuzz_$(1)_SRCS)),$(DSDT))

# Variables go to sections of their own: fuzz.c puts them back before each input.
FUZZ_SECTIONS := $(foreach s,data bss,$(foreach r,$(s) $(s).rel.local,--rename-section .$(r)=fuzz_$(s)))

$(FUZZ)/obj/%.o: %.c tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) $(call fuzz_coverage,$<) -MMD -MP -c $< -o $@
	$(Q)$(if $(filter tests/fuzz/fuzz.c,$<),,objcopy $(FUZZ_SECTIONS) $@)

define fuzz_program
$(FUZZ)/fuzz_$(1): $(call fuzz_objs,$(1))
	$(Q)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined $(FUZZ_LDFLAGS) $$(fuzz_$(1)_LDFLAGS) $$^ -o $$@
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_program,$(t))))

-include $(shell find $(FUZZ)/obj -name '*.d' 2>/dev/null)

.PHONY: fuzz fuzz-seeds fuzz-deps
fuzz-deps:
	@tools/deps fuzz build

MINUTES ?= 10
TARGET ?= $(FUZZ_TARGETS)
fuzz: fuzz-deps $(TARGET:%=$(FUZZ)/fuzz_%) ## Look for faults by fuzzing for MINUTES [10]; TARGET=NAME chooses
	@tests/fuzz/run $(FUZZ) $$(($(MINUTES) * 60)) $(TARGET)

fuzz-seeds: fuzz-deps $(FUZZ_TARGETS:%=$(FUZZ)/fuzz_%) ## Each fuzzer's seeds once, former findings among them
	@tests/fuzz/run $(FUZZ) seeds $(FUZZ_TARGETS)
