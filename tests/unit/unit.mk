# SPDX-License-Identifier: BSD-2-Clause
# Unit tests on the host. The sources under test compile unchanged, with the
# host's libc and the sanitizers; each test names what it links.

UNIT := $(BUILD)/unit
UNIT_CFLAGS := -std=gnu17 -O1 -g -I. $(WARNINGS) -fno-strict-aliasing -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all -DVERSION='"1.2.3+unit"' -DLOCK_ORDER

# --- what tests link ---
BASE := hv/base/err.c hv/base/format.c hv/base/log.c
FRAMES := $(BASE) mm/buddy.c mm/epoch.c mm/frame.c mm/quarantine.c mm/reserve.c
P2M := $(FRAMES) mm/p2m.c mm/p2m_balloon.c mm/guestmem.c mm/sample.c mm/estimate.c mm/audit.c \
	arch/x86_64/vmx/ept.c arch/x86_64/svm/npt.c
CORE := $(P2M) hv/base/date.c hv/base/terminal.c hv/base/version.c $(filter-out hv/base/% hv/drv/%,$(wildcard hv/*/*.c))
FAKE := tests/fake/fake.c tests/fake/lock_order.c
WRAP := -Wl,--wrap=frame_alloc_table,--wrap=frame_alloc_guest,--wrap=quarantine_commit,--wrap=buddy_free

test_base_SRCS := $(FAKE) $(FRAMES)
test_base_OBJS := $(UNIT)/obj/hv_string.o
test_base_LINKS := hv/base/string.c
test_lock_SRCS := $(FAKE) $(FRAMES)
test_frame_SRCS := $(FAKE) $(FRAMES)
$(foreach t,reserve quarantine epoch buddy,$(eval test_$(t)_SRCS := $(FAKE) $(FRAMES)))
test_date_SRCS := $(FAKE) $(FRAMES) hv/base/date.c
test_estimate_SRCS := $(FAKE) $(FRAMES) mm/estimate.c
test_version_SRCS := $(FAKE) $(FRAMES) hv/base/version.c

test_p2m_SRCS := $(FAKE) tests/fake/tables.c $(P2M)
test_p2m_large_SRCS := $(test_p2m_SRCS)
test_audit_SRCS := $(test_p2m_SRCS)
test_nomem_SRCS := $(test_p2m_SRCS) tests/fake/record.c
test_nomem_LDFLAGS := $(WRAP)
test_soak_SRCS := $(test_nomem_SRCS)
test_soak_LDFLAGS := $(WRAP)
GUEST := $(FAKE) tests/fake/backend.c tests/fake/tables.c tests/fake/guest.c $(CORE)
DSDT := $(BUILD)/hv/load/dsdt.o
$(foreach t,balloon balloon_calls,$(eval test_$(t)_SRCS := $(GUEST)))
test_hypercall_SRCS := $(GUEST)
test_guestmem_SRCS := $(test_p2m_SRCS)
test_sample_SRCS := $(test_p2m_SRCS)
$(foreach t,policy policy_cap policy_loop entitlement,$(eval test_$(t)_SRCS := hv/memory/policy.c hv/memory/entitlement.c))
test_config_SRCS := hv/config/config.c hv/config/disk_parse.c hv/config/text.c hv/config/timed_parse.c hv/base/format.c
test_text_SRCS := hv/config/text.c hv/base/format.c
$(foreach t,disk_parse timed_parse,$(eval test_$(t)_SRCS := $(test_config_SRCS)))
$(foreach t,lapic lapic_ipi lapic_timer,$(eval test_$(t)_SRCS := $(GUEST)))
test_insn_SRCS := $(FAKE) $(FRAMES) hv/emulate/insn.c
test_insn_zydis_SRCS := $(FAKE) $(FRAMES) hv/emulate/insn.c
test_insn_zydis_LIBS := -lZydis
test_insn_cpu_SRCS := $(filter-out hv/emulate/mmio.c,$(GUEST))
$(foreach t,emulate emulate_strings linux linux_refused,$(eval test_$(t)_SRCS := $(GUEST) tests/fake/record.c))
$(foreach t,emulate emulate_strings linux linux_refused,$(eval test_$(t)_LDFLAGS := $(WRAP)))
test_gwalk_SRCS := $(GUEST)
test_task_SRCS := $(GUEST)
test_ioapic_SRCS := $(GUEST)
test_console_SRCS := $(GUEST)
test_terminal_SRCS := $(GUEST)
test_operator_SRCS := $(GUEST)
test_uart_SRCS := $(GUEST)
test_rtc_SRCS := $(GUEST)
test_devices_SRCS := $(GUEST)
test_caps_SRCS := arch/x86_64/vmx/caps.c arch/x86_64/vmx/reasons.c
test_svm_SRCS := arch/x86_64/svm/caps.c arch/x86_64/svm/check.c arch/x86_64/svm/decode.c
test_errata_SRCS := arch/x86_64/quirks/errata.c
test_leftovers_SRCS := $(FAKE) $(FRAMES) arch/x86_64/pc/ioapic.c arch/x86_64/time/hpet.c \
	arch/x86_64/pc/watchdog.c
test_tsc_SRCS := arch/x86_64/time/tsc_span.c arch/x86_64/time/tsc_measure.c arch/x86_64/time/tsc_said.c
test_vulns_SRCS := arch/x86_64/quirks/vulns.c
test_mtrr_SRCS := $(FAKE) $(FRAMES) arch/x86_64/quirks/mtrr.c
BOOT := $(FAKE) $(FRAMES) boot/acpi.c boot/acpi_watchdog.c boot/acpi_uart.c boot/boot_info.c boot/multiboot.c
$(foreach t,multiboot boot_acpi acpi_uart power,$(eval test_$(t)_SRCS := $(BOOT)))
test_consoles_SRCS := $(FAKE) $(FRAMES) boot/consoles.c
test_pci_SRCS := $(FAKE) $(FRAMES) hv/drv/pci.c
test_serial_SRCS := $(FAKE) $(FRAMES) arch/x86_64/pc/serial.c
test_gpt_SRCS := $(FAKE) $(FRAMES) hv/block/gpt.c
test_block_SRCS := $(FAKE) $(FRAMES) hv/block/gpt.c hv/block/block.c hv/block/scan.c
test_ata_SRCS := $(test_block_SRCS) hv/drv/ata.c
test_nvme_SRCS := $(test_block_SRCS) hv/drv/nvme.c hv/drv/nvme_life.c
test_loader_SRCS := $(GUEST)
test_pvclock_SRCS := $(GUEST)
test_pvcpu_SRCS := $(GUEST)
test_acpi_SRCS := $(GUEST)
test_reboot_SRCS := $(GUEST)
test_gone_SRCS := $(GUEST)
test_vm_log_SRCS := $(GUEST) tests/fake/virtio.c
test_vm_log_LDFLAGS = $(VIO_WRAP)
$(foreach t,sched sched_events,$(eval test_$(t)_SRCS := $(GUEST)))
test_waiters_SRCS := $(GUEST)
test_virtio_SRCS := $(GUEST) tests/fake/virtio.c
VIO_WRAP := -Wl,--wrap=guest_write
$(foreach t,virtio blk_host blk_data virtio_blk virtio_console virtio_balloon virtio_balloon_choice,$(eval test_$(t)_LDFLAGS := $(VIO_WRAP)))
test_virtio_blk_SRCS := $(test_virtio_SRCS)
$(foreach t,blk_host blk_data,$(eval test_$(t)_SRCS := $(test_virtio_SRCS)))
test_virtio_console_SRCS := $(test_virtio_SRCS)
test_virtio_balloon_SRCS := $(test_virtio_SRCS)
test_virtio_balloon_choice_SRCS := $(test_virtio_SRCS)
test_shootdown_SRCS := $(GUEST)
$(foreach t,exit msr cpuid,$(eval test_$(t)_SRCS := $(GUEST)))
test_fb_SRCS := arch/x86_64/pc/fb.c
test_fb_OBJS := $(BUILD)/font.o
test_screen_SRCS := $(GUEST)
test_scrollback_SRCS := $(FAKE) $(FRAMES) hv/control/scrollback.c
test_status_SRCS := $(GUEST) tools/aeroctl/text.c
test_timed_SRCS := $(GUEST)
test_aeroctl_SRCS := tests/fake/aeroctl.c $(filter-out %/main.c %/device.c,$(wildcard tools/aeroctl/*.c))
test_aeroctl_LIBS := -lncurses -ltinfo
$(UNIT)/obj/tools/aeroctl/%.o: UNIT_CFLAGS += -D_DEFAULT_SOURCE -DRELEASE='"1.2.3"'
$(foreach t,driver driver_pages,$(eval test_$(t)_SRCS := guest-driver/balloon_core.c $(FAKE) $(FRAMES)))
EFI_TESTED := boot/efi/info.c boot/efi/elf.c boot/efi/leave.c
$(foreach t,efi elf leave,$(eval test_$(t)_SRCS := $(BOOT) $(EFI_TESTED)))
$(UNIT)/obj/boot/efi/%.o $(patsubst %,$(UNIT)/obj/tests/unit/boot/test_%.o,efi elf leave): UNIT_CFLAGS += $(EFI_INCLUDE) -DGNU_EFI_USE_MS_ABI

UNIT_TESTS := base lock version date frame reserve quarantine epoch buddy p2m p2m_large audit nomem soak guestmem \
	estimate sample balloon balloon_calls hypercall policy policy_cap policy_loop entitlement config \
	text disk_parse timed_parse exit msr cpuid lapic lapic_ipi lapic_timer ioapic console terminal \
	operator uart rtc devices insn insn_zydis insn_cpu emulate emulate_strings gwalk task caps svm \
	errata leftovers tsc vulns loader linux linux_refused acpi pvclock pvcpu reboot gone virtio virtio_blk \
	virtio_console virtio_balloon virtio_balloon_choice vm_log sched sched_events waiters shootdown \
	driver driver_pages efi elf leave mtrr multiboot boot_acpi acpi_uart consoles pci serial fb screen \
	scrollback status timed power aeroctl gpt block nvme ata blk_host blk_data

# Programs that link all of hv/ link the guests' DSDT, too.
$(foreach t,$(UNIT_TESTS),$(if $(findstring hv/load/acpi.c,$(test_$(t)_SRCS)),$(eval test_$(t)_OBJS += $(DSDT))))

# --- how ---
unit_objs = $(patsubst %.c,$(UNIT)/obj/%.o,$(wildcard tests/unit/*/test_$(1).c) $(test_$(1)_SRCS)) $(test_$(1)_OBJS)

$(UNIT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) $(COVERAGE) -MMD -MP -c $< -o $@

# The hypervisor's own string functions, beside libc's.
HV_STRING := memcpy memmove memset memcmp strlen strcmp strncmp
$(UNIT)/obj/hv_string.o: hv/base/string.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -fno-builtin $(foreach f,$(HV_STRING),-D$(f)=hv_$(f)) -MMD -MP -c $< -o $@

define unit_program
$(UNIT)/test_$(1): $(call unit_objs,$(1))
	$(Q)$(CC) -fsanitize=address,undefined $(COVERAGE) $$(test_$(1)_LDFLAGS) $$^ -lcmocka $$(test_$(1)_LIBS) -o $$@
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_program,$(t))))

-include $(shell find $(UNIT)/obj -name '*.d' 2>/dev/null)

.PHONY: unit unit-deps unit-tools unit-links coverage
unit-deps:
	@tools/deps unit build

unit: unit-deps $(UNIT_TESTS:%=$(UNIT)/test_%) ## Unit tests on the host, with sanitizers
	@tests/unit/run $(UNIT_TESTS:%=$(UNIT)/test_%)
	@$(MAKE) --no-print-directory unit-tools
	@$(MAKE) --no-print-directory policy-test

unit-tools: ## Of them those of the tools, in Python
	@tests/tools/run

unit-links: # Which sources each of them links, for tools/covered.py
	$(foreach t,$(UNIT_TESTS),$(info test_$(t): $(test_$(t)_SRCS) $(test_$(t)_LINKS)))@:

# The tests of a file: those of its name, and those named here.
tests_of = $(filter $(1) $(1)_%,$(UNIT_TESTS)) $(tests_of_$(1))
tests_of_policy := entitlement

coverage: unit-deps ## Lines and branches of hv/memory/policy.c that its unit tests take; T=sched: of hv/vm/sched.c
	$(eval T ?= policy)
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory UNIT=$(BUILD)/coverage COVERAGE="--coverage -O0 -fno-sanitize=all" \
		$(patsubst %,$(BUILD)/coverage/test_%,$(call tests_of,$(T)))
	@for t in $(call tests_of,$(T)); do $(BUILD)/coverage/test_$$t >/dev/null 2>&1; done
	@gcov -n -b $(BUILD)/coverage/obj/hv/*/$(T).gcda 2>/dev/null | grep -A4 "'hv/.*/$(T).c'"
