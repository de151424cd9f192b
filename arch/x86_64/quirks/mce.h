/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_MCE_H
#define ARCH_CPU_MCE_H

#include <hv/base/types.h>

/*
 * Logs and clears this CPU's machine-check banks; if it names an address, its frame is never used
 * again. That takes locks: only if @may_lock. Panics if the CPU says that its state is lost.
 */
void mce_report(bool may_lock);

#endif
