/* SPDX-License-Identifier: BSD-2-Clause */
/* Every figure once: its name, its unit, what it means; and the three ways to write them. */
#include <inttypes.h>

#include "aeroctl.h"

#define HOST(field, expression)                                \
	static uint64_t host_##field(const struct snapshot *s) \
	{                                                      \
		const struct aero_host_info *h = &s->host;     \
		return (expression);                           \
	}
#define VM(field, expression)                                                \
	static uint64_t vm_##field(const struct snapshot *s, unsigned int i) \
	{                                                                    \
		const struct aero_vm_info *vm = &s->vm[i];                   \
		const struct aero_stats *g = &s->guest[i];                   \
		(void)vm;                                                    \
		(void)g;                                                     \
		return (expression);                                         \
	}
#define PAGES(n) ((n)*4096)

HOST(up, h->time_us)
HOST(total, PAGES(h->total))
HOST(free, PAGES(h->free))
HOST(clean, PAGES(h->clean))
HOST(quarantine, PAGES(h->quarantine))
HOST(promised, PAGES(h->promised))
HOST(hypervisor, PAGES(h->hypervisor))
HOST(tables, PAGES(h->tables))
HOST(active, PAGES(h->active))
HOST(tax, h->tax)
HOST(state, h->state)
HOST(scrubbed_idle, PAGES(h->scrubbed_idle))
HOST(scrubbed_demand, PAGES(h->scrubbed_demand))

const struct field host_fields[] = {
	{ "up", "Time since the host booted", COUNTER, SECONDS, host_up, NULL },
	{ "memory", "Memory that the host deals with", GAUGE, BYTES, host_total, NULL },
	{ "free", "Free memory", GAUGE, BYTES, host_free, NULL },
	{ "clean", "Free memory that is scrubbed", GAUGE, BYTES, host_clean, NULL },
	{ "quarantine", "Memory that is free once every CPU has flushed", GAUGE, BYTES,
	  host_quarantine, NULL },
	{ "promised", "Free memory in the reserves of VMs", GAUGE, BYTES, host_promised, NULL },
	{ "hypervisor", "Memory that the hypervisor uses", GAUGE, BYTES, host_hypervisor, NULL },
	{ "tables", "Memory in second-level tables", GAUGE, BYTES, host_tables, NULL },
	{ "active", "Active memory of all VMs, estimated", GAUGE, BYTES, host_active, NULL },
	{ "tax_percent", "Tax on idle memory", GAUGE, PLAIN, host_tax, NULL },
	{ "pressure_level", "State of memory: 0 high, 1 soft, 2 hard, 3 low", GAUGE, PLAIN,
	  host_state, NULL },
	{ "scrubbed_idle", "Memory scrubbed while a CPU was idle", COUNTER, BYTES,
	  host_scrubbed_idle, NULL },
	{ "scrubbed_demand", "Memory scrubbed while somebody waited", COUNTER, BYTES,
	  host_scrubbed_demand, NULL },
};
const size_t nr_host_fields = ARRAY_SIZE(host_fields);

VM(memory, PAGES(vm->memory))
VM(min, PAGES(vm->min))
VM(max, PAGES(vm->max))
VM(shares, vm->shares)
VM(vcpus, vm->vcpus)
VM(resident, PAGES(vm->resident))
VM(balloon, PAGES(vm->balloon))
VM(target, PAGES(vm->target))
VM(manual, !!(vm->flags & AERO_VM_FLAG_MANUAL))
VM(active, PAGES(vm->active))
VM(active_low, PAGES(vm->resident * vm->active_low / 1000))
VM(active_high, PAGES(vm->resident * vm->active_high / 1000))
VM(entitlement, PAGES(vm->entitlement))
VM(rho, vm->rho)
VM(disk, PAGES(vm->disk))
VM(tables, PAGES(vm->tables))
VM(faults, vm->faults)
VM(popped, PAGES(vm->popped))
VM(locked, PAGES(vm->locked))
VM(unlocked, PAGES(vm->unlocked))
VM(reported, PAGES(vm->reported))
VM(refused, vm->refused)
VM(flushes, vm->flushes)
VM(exits, vm->exits)
VM(cpu, vm->run_us)
VM(starts, vm->starts)
VM(exit_status, vm->exit_status)
VM(guest_total, PAGES(g->total))
VM(guest_free, PAGES(g->free))
VM(guest_available, PAGES(g->available))
VM(guest_swap_total, PAGES(g->swap_total))
VM(guest_swap_free, PAGES(g->swap_free))
VM(guest_major_faults, g->major_faults)
VM(guest_refaults, g->refaults)
VM(guest_oom_kills, g->oom_kills)
VM(guest_stall_some, g->stall_some)
VM(guest_stall_full, g->stall_full)

/* As the host's balloon_disagreement(): in `@vm` lines it is differs=. */
static uint64_t vm_guest_disagreement_permille(const struct snapshot *s, unsigned int i)
{
	const struct aero_vm_info *vm = &s->vm[i];
	uint64_t used = vm->balloon + vm->active, says = s->guest[i].available;
	uint64_t spare = vm->memory - (used < vm->memory ? used : vm->memory);

	if (!s->guest[i].total || !vm->memory)
		return 0;
	says = says < vm->memory ? says : vm->memory;
	return (uint64_t)(((int64_t)says - (int64_t)spare) * 1000 / (int64_t)vm->memory);
}

#define G(name, unit, help)                               \
	{                                                 \
#name, help, GAUGE, unit, NULL, vm_##name \
	}
#define C(name, unit, help)                                 \
	{                                                   \
#name, help, COUNTER, unit, NULL, vm_##name \
	}

const struct field vm_fields[] = {
	G(memory, BYTES, "Memory that the guest sees"),
	G(min, BYTES, "Memory that it is guaranteed"),
	G(max, BYTES, "Memory that it may have"),
	G(shares, PLAIN, "Its weight when memory is short, and for CPU time"),
	G(vcpus, PLAIN, "Virtual CPUs"),
	G(resident, BYTES, "Memory that it has"),
	G(balloon, BYTES, "Memory in its balloon"),
	G(target, BYTES, "How large its balloon should be"),
	G(manual, PLAIN, "1 if the target was set by hand"),
	G(active, BYTES, "Memory that it uses, estimated"),
	G(active_low, BYTES, "Lower end of the 95 % interval of the last sample"),
	G(active_high, BYTES, "Upper end of the 95 % interval of the last sample"),
	G(entitlement, BYTES, "Memory that it may hold by the last decision"),
	G(rho, PLAIN, "Shares per page, adjusted by the tax, times 2^20"),
	G(disk, BYTES, "Memory that its disks hold"),
	G(tables, BYTES, "Memory in its second-level tables"),
	C(faults, PLAIN, "Second-level faults served with memory"),
	C(popped, BYTES, "Memory that it touched although it was in the balloon"),
	C(locked, BYTES, "Memory put into the balloon"),
	C(unlocked, BYTES, "Memory taken out of the balloon"),
	C(reported, BYTES, "Memory that came back by free page reporting"),
	C(refused, PLAIN, "Entries of batches that were refused"),
	C(flushes, PLAIN, "Batches of changes that needed a flush"),
	C(exits, PLAIN, "VM exits"),
	C(cpu, SECONDS, "Time on a CPU, of all its vCPUs"),
	C(starts, PLAIN, "How often it was started"),
	G(exit_status, PLAIN, "Status with which it ended, 0 while it runs"),
	G(guest_total, BYTES, "Memory that the guest's kernel manages, as it says"),
	G(guest_free, BYTES, "Free memory, as the guest says"),
	G(guest_available, BYTES, "Memory to be had without swapping, as the guest says"),
	G(guest_disagreement_permille, SIGNED,
	  "What the guest says it can do without, less what it is not seen to use, of its memory"),
	G(guest_swap_total, BYTES, "Swap space, as the guest says"),
	G(guest_swap_free, BYTES, "Free swap space, as the guest says"),
	C(guest_major_faults, PLAIN, "Major faults, as the guest says"),
	C(guest_refaults, PLAIN, "Refaults, as the guest says"),
	C(guest_oom_kills, PLAIN, "Processes killed for lack of memory, as the guest says"),
	C(guest_stall_some, SECONDS,
	  "Time in which some task stalled for memory, as the guest says"),
	C(guest_stall_full, SECONDS,
	  "Time in which all tasks stalled for memory, as the guest says"),
};
const size_t nr_vm_fields = ARRAY_SIZE(vm_fields);

static const char *suffix(const struct field *f)
{
	return f->unit == BYTES ? "_bytes" : f->unit == SECONDS ? "_seconds" : "";
}

static void write_value(FILE *out, const struct field *f, uint64_t value)
{
	if (f->unit == SECONDS)
		fprintf(out, "%" PRIu64 ".%06" PRIu64, value / 1000000, value % 1000000);
	else if (f->unit == SIGNED)
		fprintf(out, "%" PRId64, (int64_t)value);
	else
		fprintf(out, "%" PRIu64, value);
}

/* --- for people, a line a figure --- */

void write_stats(FILE *out, const struct snapshot *s)
{
	char version[NUMBER_MAX];

	fprintf(out, "host version %s\n", text_version(version, s->host.version));
	for (size_t f = 0; f < nr_host_fields; f++) {
		fprintf(out, "host %s%s ", host_fields[f].name, suffix(&host_fields[f]));
		write_value(out, &host_fields[f], host_fields[f].host(s));
		fputc('\n', out);
	}
	for (unsigned int i = 0; i < s->nr; i++) {
		fprintf(out, "vm %s state %s\n", s->vm[i].name, text_vm_state(s->vm[i].state));
		fprintf(out, "vm %s why %s\n", s->vm[i].name, text_reason(s->vm[i].reason));
		for (size_t f = 0; f < nr_vm_fields; f++) {
			fprintf(out, "vm %s %s%s ", s->vm[i].name, vm_fields[f].name,
				suffix(&vm_fields[f]));
			write_value(out, &vm_fields[f], vm_fields[f].vm(s, i));
			fputc('\n', out);
		}
	}
}

/* --- JSON --- */

/* JSON's and OpenMetrics' strings need the same three escapes; no other byte below 32 is let through. */
static void write_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < 32 || (unsigned char)*text > 126 ? '?' : *text, out);
	}
	fputc('"', out);
}

static void write_json_field(FILE *out, const struct field *f, uint64_t value)
{
	fprintf(out, ", \"%s%s\": ", f->name, suffix(f));
	write_value(out, f, value);
}

void write_json(FILE *out, const struct snapshot *s)
{
	char version[NUMBER_MAX];

	fprintf(out, "{\"host\": {\"version\": \"%s\", \"state\": \"%s\"",
		text_version(version, s->host.version), text_memory_state(s->host.state));
	for (size_t f = 0; f < nr_host_fields; f++)
		write_json_field(out, &host_fields[f], host_fields[f].host(s));
	fprintf(out, "},\n \"vms\": [");
	for (unsigned int i = 0; i < s->nr; i++) {
		const struct aero_vm_info *vm = &s->vm[i];

		fprintf(out, "%s\n  {\"name\": ", i ? "," : "");
		write_string(out, vm->name);
		fprintf(out, ", \"id\": %u, \"state\": \"%s\", \"why\": \"%s\", \"rule\": \"%s\"",
			vm->id, text_vm_state(vm->state), text_reason(vm->reason),
			text_rule(vm->rule));
		fprintf(out, ", \"control\": %s, \"driver\": %s",
			vm->flags & AERO_VM_FLAG_CONTROL ? "true" : "false",
			vm->flags & AERO_VM_FLAG_DRIVER ? "true" : "false");
		for (size_t f = 0; f < nr_vm_fields; f++)
			write_json_field(out, &vm_fields[f], vm_fields[f].vm(s, i));
		fputc('}', out);
	}
	fprintf(out, "\n ]}\n");
}

/* --- OpenMetrics 1.0; what Prometheus's older text format cannot read is not used --- */

/* The head of a family, whose name is @of and the field's. */
static void write_family(FILE *out, const char *of, const struct field *f)
{
	const char *kind = f->kind == COUNTER ? "counter" : "gauge";

	fprintf(out, "# TYPE aerostat_%s_%s%s %s\n", of, f->name, suffix(f), kind);
	if (f->unit == BYTES || f->unit == SECONDS)
		fprintf(out, "# UNIT aerostat_%s_%s%s %s\n", of, f->name, suffix(f),
			f->unit == BYTES ? "bytes" : "seconds");
	fprintf(out, "# HELP aerostat_%s_%s%s %s.\n", of, f->name, suffix(f), f->help);
}

static void write_sample(FILE *out, const char *of, const struct field *f, const char *vm,
			 uint64_t value)
{
	fprintf(out, "aerostat_%s_%s%s%s", of, f->name, suffix(f),
		f->kind == COUNTER ? "_total" : "");
	if (vm) {
		fprintf(out, "{vm=");
		write_string(out, vm);
		fputc('}', out);
	}
	fputc(' ', out);
	write_value(out, f, value);
	fputc('\n', out);
}

/* One of them is 1, and says which. */
static void write_states(FILE *out, const struct snapshot *s)
{
	fprintf(out, "# TYPE aerostat_vm_state gauge\n"
		     "# HELP aerostat_vm_state 1 for the state that the VM is in.\n");
	for (unsigned int i = 0; i < s->nr; i++)
		for (unsigned int state = AERO_VM_OFF; state <= AERO_VM_STARTING; state++) {
			fprintf(out, "aerostat_vm_state{vm=");
			write_string(out, s->vm[i].name);
			fprintf(out, ",state=\"%s\"} %d\n", text_vm_state(state),
				s->vm[i].state == state);
		}
}

/* A family whose value is always 1, as Prometheus wants texts. */
static void write_version(FILE *out, const struct snapshot *s)
{
	char version[NUMBER_MAX];

	fprintf(out,
		"# TYPE aerostat_host_version gauge\n"
		"# HELP aerostat_host_version 1, with the hypervisor's version.\n"
		"aerostat_host_version{version=\"%s\"} 1\n",
		text_version(version, s->host.version));
}

void write_metrics(FILE *out, const struct snapshot *s)
{
	write_version(out, s);
	for (size_t f = 0; f < nr_host_fields; f++) {
		write_family(out, "host", &host_fields[f]);
		write_sample(out, "host", &host_fields[f], NULL, host_fields[f].host(s));
	}
	write_states(out, s);
	for (size_t f = 0; f < nr_vm_fields; f++) {
		write_family(out, "vm", &vm_fields[f]);
		for (unsigned int i = 0; i < s->nr; i++)
			write_sample(out, "vm", &vm_fields[f], s->vm[i].name,
				     vm_fields[f].vm(s, i));
	}
	fprintf(out, "# EOF\n");
}
