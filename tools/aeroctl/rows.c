/* SPDX-License-Identifier: BSD-2-Clause */
/* What top shows: rows of text that fit a width, and the order of VMs; no terminal here. */
#include <string.h>

#include "aeroctl.h"

#define BAR 20
#define WHY_WISH 21 /* wide enough for most reasons, before there is room for bars */
#define WHY_RANK 3

/* Of the VM @id before, or NULL. */
static const struct aero_vm_info *before(const struct view *v, unsigned int id)
{
	return v->has_before && id < v->before.nr ? &v->before.vm[id] : NULL;
}

/* By how much a counter grew in a second; 0 after a restart. */
static uint64_t rate(const struct view *v, uint64_t was, uint64_t is)
{
	uint64_t us = v->now.host.time_us - v->before.host.time_us;

	return is > was && v->now.host.time_us > v->before.host.time_us ?
		       (is - was) * 1000000 / us :
		       0;
}

static uint64_t faults(const struct view *v, unsigned int id)
{
	const struct aero_vm_info *b = before(v, id);

	return b ? rate(v, b->faults, v->now.vm[id].faults) : 0;
}

/* Percent of one CPU. */
static uint64_t cpu(const struct view *v, unsigned int id)
{
	const struct aero_vm_info *b = before(v, id);

	return b ? rate(v, b->run_us, v->now.vm[id].run_us) / 10000 : 0;
}

static uint64_t resident(const struct view *v, unsigned int id)
{
	return v->now.vm[id].resident;
}

static uint64_t balloon(const struct view *v, unsigned int id)
{
	return v->now.vm[id].balloon;
}

static uint64_t active(const struct view *v, unsigned int id)
{
	return v->now.vm[id].active;
}

static const struct {
	const char *name;
	uint64_t (*key)(const struct view *v, unsigned int id); /* the largest first */
} sorts[] = {
	{ "configuration", NULL }, { "resident", resident }, { "active", active },
	{ "balloon", balloon },	   { "faults", faults },     { "CPU", cpu },
};

const char *sort_name(unsigned int sort)
{
	return sort < ARRAY_SIZE(sorts) ? sorts[sort].name : NULL;
}

/* By insertion: few, and equals stay in the order of the configuration. */
static void sort(struct view *v)
{
	for (unsigned int i = 0; i < v->now.nr; i++) {
		unsigned int at = i;

		while (sorts[v->sort].key && at &&
		       sorts[v->sort].key(v, v->order[at - 1]) < sorts[v->sort].key(v, i)) {
			v->order[at] = v->order[at - 1];
			at--;
		}
		v->order[at] = i;
	}
}

void view_update(struct view *v, const struct snapshot *s)
{
	if (s) {
		v->has_before = v->now.nr > 0;
		v->before = v->now;
		v->now = *s;
	}
	if (v->selected >= v->now.nr)
		v->selected = 0;
	sort(v);
}

void view_move(struct view *v, int by)
{
	int at = 0;

	if (!v->now.nr)
		return;
	for (unsigned int i = 0; i < v->now.nr; i++)
		if (v->order[i] == v->selected)
			at = (int)i;
	at += by;
	at = at < 0 ? 0 : at >= (int)v->now.nr ? (int)v->now.nr - 1 : at;
	v->selected = v->order[at];
}

void view_host(const struct view *v, char line[LINE_BYTES])
{
	const struct aero_host_info *h = &v->now.host;
	char total[NUMBER_MAX], unused[NUMBER_MAX], used[NUMBER_MAX], own[NUMBER_MAX];
	unsigned long long s = h->time_us / 1000000;

	snprintf(line, LINE_BYTES,
		 "up %llu:%02llu:%02llu  %s: %s of %s MiB free, %s active, %s overhead; tax %u %%",
		 s / 3600, s / 60 % 60, s % 60, text_memory_state(h->state),
		 text_mib(unused, h->free), text_mib(total, h->total), text_mib(used, h->active),
		 text_mib(own, h->hypervisor + h->tables), (unsigned int)h->tax);
}

/* --- columns: the first that do not fit are those of the highest rank --- */

static void put_name(const struct view *v, unsigned int id, char *text, size_t size)
{
	snprintf(text, size, "%s", v->now.vm[id].name);
}

static void put_state(const struct view *v, unsigned int id, char *text, size_t size)
{
	snprintf(text, size, "%s", text_vm_state(v->now.vm[id].state));
}

#define PUT_MIB(field)                                                                          \
	static void put_##field(const struct view *v, unsigned int id, char *text, size_t size) \
	{                                                                                       \
		char number[NUMBER_MAX];                                                        \
		snprintf(text, size, "%s", text_mib(number, v->now.vm[id].field));              \
	}
PUT_MIB(memory)
PUT_MIB(resident)
PUT_MIB(balloon)
PUT_MIB(target)

/* The estimate, and between what the last sample is by 95 %. */
static void put_active(const struct view *v, unsigned int id, char *text, size_t size)
{
	const struct aero_vm_info *vm = &v->now.vm[id];
	char is[NUMBER_MAX], low[NUMBER_MAX], high[NUMBER_MAX];

	snprintf(text, size, "%s [%s-%s]", text_mib(is, vm->active),
		 text_mib(low, vm->resident * vm->active_low / 1000),
		 text_mib(high, vm->resident * vm->active_high / 1000));
}

#define PUT_NUMBER(name, value)                                                                \
	static void put_##name(const struct view *v, unsigned int id, char *text, size_t size) \
	{                                                                                      \
		snprintf(text, size, "%llu", (unsigned long long)(value));                     \
	}
PUT_NUMBER(faults, faults(v, id))
PUT_NUMBER(cpu, cpu(v, id))
PUT_NUMBER(shares, v->now.vm[id].shares)
PUT_NUMBER(rho, v->now.vm[id].rho)

/* '#' resident, '=' in the balloon, '.' never touched, of what the guest sees. */
static void put_bar(const struct view *v, unsigned int id, char *text, size_t size)
{
	const struct aero_vm_info *vm = &v->now.vm[id];
	uint64_t memory = vm->memory ? vm->memory : 1;
	uint64_t filled = vm->resident * BAR / memory;
	uint64_t both = (vm->resident + vm->balloon) * BAR / memory;

	(void)size;
	for (unsigned int i = 0; i < BAR; i++)
		text[i] = i < filled ? '#' : i < both ? '=' : '.';
	text[BAR] = 0;
}

static void put_why(const struct view *v, unsigned int id, char *text, size_t size)
{
	const struct aero_vm_info *vm = &v->now.vm[id];

	if (vm->state == AERO_VM_ENDED)
		snprintf(text, size, "status %u", vm->exit_status);
	else if (vm->state == AERO_VM_OFF)
		*text = 0;
	else if (!(vm->flags & AERO_VM_FLAG_DRIVER))
		snprintf(text, size, "no balloon driver");
	else
		snprintf(text, size, "%s", text_reason(vm->reason));
}

static const struct column {
	const char *head;
	unsigned int width;
	bool left;
	unsigned int rank;
	void (*put)(const struct view *v, unsigned int id, char *text, size_t size);
} columns[] = {
	{ "VM", 12, true, 0, put_name },
	{ "STATE", 8, true, 1, put_state },
	{ "SIZE", 7, false, 3, put_memory },
	{ "RESIDENT", 8, false, 1, put_resident },
	{ "BALLOON", 7, false, 1, put_balloon },
	{ "TARGET", 7, false, 1, put_target },
	{ "ACTIVE [95 %]", 19, false, 2, put_active },
	{ "MEMORY", BAR, true, 4, put_bar },
	{ "FAULT/S", 7, false, 5, put_faults },
	{ "CPU%", 4, false, 6, put_cpu },
	{ "SHARES", 7, false, 7, put_shares },
	{ "RHO", 9, false, 8, put_rho },
	{ "WHY", 12, true, 2, put_why } /* and what is left */,
};

/* The highest rank whose columns, and all of lower rank, fit. */
static unsigned int rank_that_fits(unsigned int width)
{
	for (unsigned int rank = 8; rank > 0; rank--) {
		unsigned int sum = rank > WHY_RANK ? WHY_WISH - 12 : 0;

		for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
			if (columns[i].rank <= rank)
				sum += columns[i].width + 1;
		if (sum <= width + 1)
			return rank;
	}
	return 0;
}

static enum style style_of(const struct view *v, unsigned int id)
{
	if (id == v->selected)
		return STYLE_SELECTED;
	switch (v->now.vm[id].state) {
	case AERO_VM_WAITING:
	case AERO_VM_PANICKED:
	case AERO_VM_HALTED:
		return STYLE_BAD;
	case AERO_VM_PAUSED:
	case AERO_VM_STARTING:
		return STYLE_WARN;
	case AERO_VM_OFF:
	case AERO_VM_ENDED:
		return STYLE_DIM;
	default:
		return STYLE_PLAIN;
	}
}

enum style view_row(const struct view *v, int row, unsigned int width, char line[LINE_BYTES])
{
	unsigned int rank = rank_that_fits(width), at = 0;
	unsigned int id = row < 0 ? 0 : v->order[row];

	*line = 0;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const struct column *c = &columns[i];
		char text[128];

		if (c->rank > rank)
			continue;
		if (row < 0)
			snprintf(text, sizeof(text), "%s", c->head);
		else
			c->put(v, id, text, sizeof(text));
		at += (unsigned int)snprintf(line + at, LINE_BYTES - at,
					     c->left ? "%s%-*s" : "%s%*s", at ? " " : "",
					     (int)c->width, text);
		if (at >= LINE_BYTES)
			at = LINE_BYTES - 1;
	}
	if (at > width)
		at = width;
	while (at && line[at - 1] == ' ')
		at--;
	line[at] = 0;
	return row < 0 ? STYLE_HEAD : style_of(v, id);
}
