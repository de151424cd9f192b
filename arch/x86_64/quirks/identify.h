/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what the CPU says of itself; what follows from it is decided elsewhere. */
#ifndef ARCH_QUIRKS_IDENTIFY_H
#define ARCH_QUIRKS_IDENTIFY_H

#include <arch/x86_64/quirks/vulns.h>

/* Of the CPU that runs; whether threads share cores is not its own to say. */
void cpu_identify(struct cpu_id *c);

#endif
