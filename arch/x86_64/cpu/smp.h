/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_SMP_H
#define ARCH_CPU_SMP_H

#include <hv/base/types.h>

/*
 * Starts the other CPUs with INIT-SIPI-SIPI; each calls @entry on its own
 * stack and never returns.  One that does not answer is named and left out.
 * They begin in @page, RAM below 640 KiB that is overwritten; 0: there is none.
 */
void smp_start(const u32 *apic_ids, u32 count, hpa_t page, void (*entry)(void));

#endif
