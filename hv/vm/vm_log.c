/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/vm/sched.h>
#include <hv/vm/vm.h>

/* Takes a line's time; false if the VM has none left. */
static bool pay(struct vm_log *l)
{
	u64 each = VM_LOG_EVERY_MS * plat_tsc_khz(), now = plat_tsc();
	u64 old, from;

	do {
		old = atomic_load(&l->paid_until);
		from = max(old, now);
		if (from + each > now + VM_LOG_BURST * each)
			return false;
	} while (!atomic_cas(&l->paid_until, old, from + each));
	return true;
}

void vm_log(struct vm *vm, const char *fmt, ...)
{
	char text[LOG_LINE_MAX], more[32] = "";
	u64 begin = plat_tsc();
	u32 left_out;
	va_list ap;

	if (!pay(&vm->log)) {
		atomic_add(&vm->log.left_out, 1u);
		return;
	}
	left_out = atomic_swap(&vm->log.left_out, 0u);
	if (left_out) /* in the same line: a line of its own would take as long again */
		str_format(more, sizeof(more), "; %u left out before", left_out);
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line("vm %s: %s%s", vm->cfg->name, text, more);
	sched_charge(vm, plat_tsc() - begin);
}

void vm_log_end(struct vm *vm)
{
	u32 left_out = atomic_swap(&vm->log.left_out, 0u);

	if (left_out)
		log_line("vm %s: %u line%s left out", vm->cfg->name, left_out,
			 left_out > 1 ? "s" : "");
}
