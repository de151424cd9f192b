# SPDX-License-Identifier: BSD-2-Clause
# The control program, for a guest with control = yes.  Static, so that an
# initramfs without a libc can carry it.

AEROCTL := $(BUILD)/aeroctl
AEROCTL_SRCS := $(wildcard tools/aeroctl/*.c)
AEROCTL_CFLAGS := -std=gnu17 -O2 -g $(WARNINGS) -D_DEFAULT_SOURCE -DRELEASE='"$(RELEASE)"'

.PHONY: aeroctl install-aeroctl
aeroctl: ## The control program, static: build/aeroctl (docs/aeroctl.md)
	$(Q)tools/deps aeroctl
	$(Q)$(MAKE) --no-print-directory $(AEROCTL)

$(AEROCTL): $(AEROCTL_SRCS) tools/aeroctl/aeroctl.h guest-driver/aerostat_abi.h Makefile VERSION
	@mkdir -p $(@D)
	$(Q)$(CC) $(AEROCTL_CFLAGS) -static $(AEROCTL_SRCS) -lncurses -ltinfo -o $@

# In a guest: make install-aeroctl [DESTDIR=...] [PREFIX=/usr/local]
PREFIX ?= /usr/local
install-aeroctl: $(AEROCTL) ## Install aeroctl, its manual page and completion, in a guest
	install -D -m 755 $(AEROCTL) $(DESTDIR)$(PREFIX)/sbin/aeroctl
	install -D -m 644 tools/aeroctl/aeroctl.8 $(DESTDIR)$(PREFIX)/share/man/man8/aeroctl.8
	install -D -m 644 tools/aeroctl/aeroctl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/aeroctl

# The same with canned answers instead of a hypervisor: build/aeroctl-demo top
$(BUILD)/aeroctl-demo: $(filter-out %/main.c %/device.c,$(AEROCTL_SRCS)) tests/fake/aeroctl.c \
		tests/unit/tools/aeroctl_demo.c tools/aeroctl/aeroctl.h tests/fake/aeroctl.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(AEROCTL_CFLAGS) -I. $(filter %.c,$^) -lncurses -ltinfo -o $@
