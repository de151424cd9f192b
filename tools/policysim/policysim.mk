# SPDX-License-Identifier: BSD-2-Clause
# The policy's simulator.  It links the hypervisor's own objects: they need
# nothing (no symbol, no CPU state), and -no-pie puts them where -mcmodel=kernel,
# whose addresses are signed 32-bit numbers, can live.

POLICYSIM := $(BUILD)/policysim
POLICYSIM_PURE := $(BUILD)/hv/memory/policy.o $(BUILD)/hv/memory/entitlement.o $(BUILD)/mm/estimate.o
POLICYSIM_SRCS := $(wildcard tools/policysim/*.c)
POLICY_TRACES := $(wildcard tools/policysim/traces/*.trace)

$(POLICYSIM): $(POLICYSIM_SRCS) $(wildcard tools/policysim/*.h) hv/memory/policy.h mm/estimate.h $(POLICYSIM_PURE)
	$(Q)$(CC) -std=gnu17 -O2 -g -I. $(WARNINGS) -no-pie -static $(POLICYSIM_SRCS) $(POLICYSIM_PURE) -o $@

.PHONY: policysim policy-test policy-cost policy-figures policy-experiments
policysim: $(POLICYSIM) ## The memory policy over traces: build/policysim TRACE
	@echo "  $(POLICYSIM) TRACE; tools/policysim/traces/ has some, docs/policy.md says what they show"

# One line a trace; all that it said, if something it expects did not come.
policy-test: $(POLICYSIM) ## What the traces of tools/policysim/traces/ expect of the policy
	$(Q)tools/policysim/run --sim $(POLICYSIM) test $(POLICY_TRACES)

policy-cost: $(POLICYSIM) ## Instructions that a decision takes, counted by valgrind
	$(Q)tools/deps policy
	$(Q)tools/policysim/run --sim $(POLICYSIM) cost

policy-figures: $(POLICYSIM) ## Draw docs/policy/*.svg again
	$(Q)tools/deps policy
	$(Q)tools/policysim/run --sim $(POLICYSIM) figures

# About eight minutes; TESTS="tax steps" chooses.
policy-experiments: ## The policy with real Debian guests in QEMU; draws docs/policy/real-*.svg
	$(Q)tools/deps build run module policy
	$(Q)$(MAKE) --no-print-directory all $(MODULE)
	$(Q)tools/policysim/experiments --hv $(HV) --draw $(TESTS)
