/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>

#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <hv/base/string.h>
#include <hv/vm/vm.h>

/* Takes the time of @lines lines; false if that is more than the VM has left. */
static bool pay(struct vm_log *l, u64 lines)
{
	u64 each = VM_LOG_EVERY_MS * plat_tsc_khz(), now = plat_tsc();
	u64 old, from;

	do {
		old = atomic_load(&l->paid_until);
		from = max(old, now);
		if (from + lines * each > now + VM_LOG_BURST * each)
			return false;
	} while (!atomic_cas(&l->paid_until, old, from + lines * each));
	return true;
}

static void say_left_out(struct vm *vm, u32 lines)
{
	if (lines)
		log_line("vm %s: %u line%s left out", vm->cfg->name, lines, lines > 1 ? "s" : "");
}

void vm_log(struct vm *vm, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	/* The line about those that were left out takes its time, too. */
	if (!pay(&vm->log, atomic_load(&vm->log.left_out) ? 2 : 1)) {
		atomic_add(&vm->log.left_out, 1u);
		return;
	}
	say_left_out(vm, atomic_swap(&vm->log.left_out, 0u));
	va_start(ap, fmt);
	str_vformat(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line("vm %s: %s", vm->cfg->name, text);
}

void vm_log_end(struct vm *vm)
{
	say_left_out(vm, atomic_swap(&vm->log.left_out, 0u));
}
