/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables and sentences for people. */
#include "aeroctl.h"

static const char *reason_or_state(const struct aero_vm_info *vm)
{
	if (vm->state == AERO_VM_OFF || vm->state == AERO_VM_ENDED)
		return "";
	if (!(vm->flags & AERO_VM_FLAG_DRIVER))
		return "no balloon driver";
	return text_reason(vm->reason);
}

void write_list(FILE *out, const struct snapshot *s)
{
	char total[NUMBER_MAX], unused[NUMBER_MAX];

	fprintf(out, "memory %s, %s free, state %s, tax %u %%; sizes in MiB\n",
		text_size(total, s->host.total), text_size(unused, s->host.free),
		text_memory_state(s->host.state), (unsigned int)s->host.tax);
	fprintf(out, "%2s %-16s %-8s %8s %8s %8s %8s %8s %8s %8s %7s  %s\n", "ID", "VM", "STATE",
		"SIZE", "MIN", "MAX", "RESIDENT", "BALLOON", "TARGET", "ACTIVE", "SHARES", "WHY");
	for (unsigned int i = 0; i < s->nr; i++) {
		const struct aero_vm_info *vm = &s->vm[i];
		const uint64_t figures[] = { vm->memory,  vm->min,    vm->max,	 vm->resident,
					     vm->balloon, vm->target, vm->active };
		char number[NUMBER_MAX];

		fprintf(out, "%2u %-16s %-8s", vm->id, vm->name, text_vm_state(vm->state));
		for (size_t k = 0; k < ARRAY_SIZE(figures); k++)
			fprintf(out, " %8s", text_mib(number, figures[k]));
		fprintf(out, " %7u  %s", (unsigned int)vm->shares, reason_or_state(vm));
		if (vm->state == AERO_VM_ENDED)
			fprintf(out, "status %u", vm->exit_status);
		fputc('\n', out);
	}
}

static void explain_now(const struct aero_vm_info *vm, void (*line)(void *, const char *),
			void *context)
{
	char a[NUMBER_MAX], b[NUMBER_MAX], c[NUMBER_MAX], d[NUMBER_MAX], text[256];

	snprintf(text, sizeof(text),
		 "%s is %s: it sees %s, has %s, of which %s are active (%u to %u %%)", vm->name,
		 text_vm_state(vm->state), text_size(a, vm->memory), text_size(b, vm->resident),
		 text_size(c, vm->active), (vm->active_low + 5) / 10, (vm->active_high + 5) / 10);
	line(context, text);
	snprintf(text, sizeof(text), "balloon %s, target %s: %s", text_size(a, vm->balloon),
		 text_size(b, vm->target), reason_or_state(vm));
	line(context, text);
	snprintf(text, sizeof(text), "entitled to %s (%s), guaranteed %s, at most %s, %u shares",
		 text_size(a, vm->entitlement), text_rule(vm->rule), text_size(b, vm->min),
		 text_size(c, vm->max), (unsigned int)vm->shares);
	line(context, text);
	if (vm->disk) {
		snprintf(text, sizeof(text), "its disks hold %s besides", text_size(d, vm->disk));
		line(context, text);
	}
}

static void explain_one(const struct aero_decision *d, char *text, size_t size)
{
	char a[NUMBER_MAX], b[NUMBER_MAX], c[NUMBER_MAX], e[NUMBER_MAX], steps[32] = "";

	if (d->steps > 1)
		snprintf(steps, sizeof(steps), " in %u%s steps", d->steps,
			 d->steps == UINT16_MAX ? " or more" : "");
	snprintf(
		text, size,
		"%10.3f s  target %s -> %s%s: %s (had %s, entitled to %s, %s, rho %llu, f %u.%u %%, memory %s)",
		(double)d->last_us / 1e6, text_size(a, d->from), text_size(b, d->to), steps,
		text_reason(d->reason), text_size(c, d->resident), text_size(e, d->entitlement),
		text_rule(d->rule), (unsigned long long)d->rho, d->active / 10u, d->active % 10u,
		text_memory_state(d->state));
}

void explain_lines(const struct aero_vm_info *vm, const struct aero_explain *e,
		   void (*line)(void *context, const char *text), void *context)
{
	char text[512];

	explain_now(vm, line, context);
	if (!e->nr)
		line(context, "nothing has been decided about it in this run");
	for (uint64_t i = 0; i < e->nr; i++) {
		explain_one(&e->decision[i], text, sizeof(text));
		line(context, text);
	}
}

static void to_file(void *out, const char *text)
{
	fprintf(out, "%s\n", text);
}

void write_explain(FILE *out, const struct aero_vm_info *vm, const struct aero_explain *e)
{
	explain_lines(vm, e, to_file, out);
}
