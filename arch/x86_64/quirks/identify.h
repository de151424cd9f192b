/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what the CPU says of itself. Others decide what follows from that. */
#ifndef ARCH_QUIRKS_IDENTIFY_H
#define ARCH_QUIRKS_IDENTIFY_H

#include <arch/x86_64/quirks/vulns.h>

/* Identifies this CPU. It cannot tell whether threads share cores. */
void cpu_identify(struct cpu_id *c);

#endif
