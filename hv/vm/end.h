/* SPDX-License-Identifier: BSD-2-Clause */
/* How a VM ends: what vm_background() does for it.  Only hv/vm/ includes this. */
#ifndef HV_VM_END_H
#define HV_VM_END_H

#include <hv/vm/vm.h>

/* The lines that say how @vm ended, from exit_status and exit_reason. */
void vm_say_ended(struct vm *vm);

/* What vm_stop() has left to the background, if anything. */
void vm_carry_out_stop(struct vm *vm);

/* One bounded step of taking an ended VM apart; true when it is done. */
bool vm_reap_step(struct vm *vm);

#endif
