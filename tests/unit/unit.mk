# SPDX-License-Identifier: BSD-2-Clause
# Unit tests on the host. The sources under test compile unchanged, with the
# host's libc and the sanitizers; each test names what it links.

UNIT := $(BUILD)/unit
UNIT_CFLAGS := -std=gnu17 -O1 -g -I. $(WARNINGS) -fno-strict-aliasing -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all -DVERSION='"unit"'

# --- what tests link ---
BASE := hv/base/err.c hv/base/format.c hv/base/log.c
FRAMES := $(BASE) mm/buddy.c mm/epoch.c mm/frame.c
P2M := $(FRAMES) mm/p2m.c mm/guestmem.c mm/sample.c mm/audit.c \
	arch/x86_64/vmx/ept.c arch/x86_64/svm/npt.c
CORE := $(P2M) hv/base/date.c $(wildcard hv/*.c hv/dev/*.c)
FAKE := tests/fake/fake.c
WRAP := -Wl,--wrap=frame_alloc_table,--wrap=frame_alloc_guest,--wrap=quarantine_commit,--wrap=buddy_free

test_base_SRCS := $(FAKE) $(FRAMES)
test_base_OBJS := $(UNIT)/obj/hv_string.o
test_frame_SRCS := $(FAKE) $(FRAMES)

test_p2m_SRCS := $(FAKE) tests/fake/tables.c $(P2M)
test_p2m_large_SRCS := $(test_p2m_SRCS)
test_audit_SRCS := $(test_p2m_SRCS)
test_nomem_SRCS := $(test_p2m_SRCS) tests/fake/record.c
test_nomem_LDFLAGS := $(WRAP)
test_soak_SRCS := $(test_nomem_SRCS)
test_soak_LDFLAGS := $(WRAP)
GUEST := $(FAKE) tests/fake/backend.c tests/fake/tables.c tests/fake/guest.c $(CORE)
test_balloon_SRCS := $(GUEST)
test_hypercall_SRCS := $(GUEST)
test_guestmem_SRCS := $(test_p2m_SRCS)
test_policy_SRCS := hv/policy.c
test_config_SRCS := hv/config.c hv/base/format.c
test_lapic_SRCS := $(GUEST)
test_ioapic_SRCS := $(GUEST)
test_uart_SRCS := $(GUEST)
test_rtc_SRCS := $(GUEST)
test_devices_SRCS := $(GUEST)
test_insn_SRCS := $(GUEST)
test_caps_SRCS := arch/x86_64/vmx/caps.c
test_loader_SRCS := $(GUEST)
test_sched_SRCS := $(GUEST)
test_shootdown_SRCS := $(GUEST)
test_exit_SRCS := $(GUEST)
test_driver_SRCS := guest-driver/balloon_core.c $(FAKE) $(FRAMES)

UNIT_TESTS := base frame p2m p2m_large audit nomem soak guestmem balloon hypercall policy config \
	exit lapic ioapic uart rtc devices insn caps loader sched shootdown driver

# --- how ---
unit_objs = $(patsubst %.c,$(UNIT)/obj/%.o,tests/unit/test_$(1).c $(test_$(1)_SRCS)) $(test_$(1)_OBJS)

$(UNIT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c $< -o $@

# The hypervisor's own string functions, beside libc's.
HV_STRING := memcpy memmove memset memcmp strlen strcmp strncmp
$(UNIT)/obj/hv_string.o: hv/base/string.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -fno-builtin $(foreach f,$(HV_STRING),-D$(f)=hv_$(f)) -MMD -MP -c $< -o $@

define unit_program
$(UNIT)/test_$(1): $(call unit_objs,$(1))
	$(Q)$(CC) -fsanitize=address,undefined $$(test_$(1)_LDFLAGS) $$^ -lcmocka -o $$@
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_program,$(t))))

-include $(shell find $(UNIT)/obj -name '*.d' 2>/dev/null)

.PHONY: unit unit-deps
unit-deps:
	@tools/deps unit build

unit: unit-deps $(UNIT_TESTS:%=$(UNIT)/test_%) ## Unit tests on the host, with sanitizers
	@tests/unit/run $(UNIT_TESTS:%=$(UNIT)/test_%)
