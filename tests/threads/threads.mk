# SPDX-License-Identifier: BSD-2-Clause
# mm/ and hv/ with a thread for each CPU, under ThreadSanitizer: docs/testing.md.

THREADS := $(BUILD)/threads
THREADS_CC := clang
THREADS_CFLAGS := -std=gnu17 -DLOCK_ORDER -O1 -g -I. $(WARNINGS) -fno-strict-aliasing -fno-omit-frame-pointer \
	-fsanitize=thread -DVERSION='"threads"' -include tests/threads/breaks.h

THREADS_COMMON := $(FAKE) tests/fake/tables.c $(addprefix tests/threads/,platform.c oracle.c breaks.c)
THREADS_LDFLAGS := $(call fuzz_wrap,$(addprefix plat_,cpu tsc time_us kick random scrub panic)) \
	$(call fuzz_wrap,epoch_safe epoch_idle_leave p2m_lookup)

threads_mm_SRCS := $(THREADS_COMMON) $(P2M) tests/threads/mm.c

threads_machine_SRCS := $(THREADS_COMMON) $(GUEST) tests/threads/machine.c tests/threads/guests.c
threads_machine_LDFLAGS := $(call fuzz_wrap,plat_idle p2m_init)

THREADS_TESTS := mm machine

threads_objs = $(patsubst %.c,$(THREADS)/obj/%.o,$(sort $(threads_$(1)_SRCS))) \
	$(if $(findstring hv/load/acpi.c,$(threads_$(1)_SRCS)),$(DSDT))

$(THREADS)/obj/%.o: %.c tests/threads/threads.mk
	@mkdir -p $(@D)
	$(Q)$(THREADS_CC) $(THREADS_CFLAGS) -MMD -MP -c $< -o $@

define threads_program
$(THREADS)/$(1): $(call threads_objs,$(1))
	$(Q)$(THREADS_CC) -fsanitize=thread $(THREADS_LDFLAGS) $$(threads_$(1)_LDFLAGS) $$^ -lcmocka -o $$@
endef
$(foreach t,$(THREADS_TESTS),$(eval $(call threads_program,$(t))))

-include $(shell find $(THREADS)/obj -name '*.d' 2>/dev/null)

.PHONY: threads threads-deps
threads-deps:
	@tools/deps threads build

threads: threads-deps $(THREADS_TESTS:%=$(THREADS)/%) ## The hypervisor on the host, a thread a CPU, under ThreadSanitizer
	@tests/threads/run $(THREADS)
