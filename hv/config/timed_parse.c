/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/string.h>
#include <hv/config/text.h>

#define STATUS_MAX 255

enum argument { NOTHING, A_SIZE, A_TARGET, A_SHARES, A_STATUS };

static const struct {
	const char *name;
	bool vm;
	u8 value;	     /* enum argument */
	const char *example; /* of what follows the action */
} actions[] = {
	[AT_STATUS] = { "status", false, NOTHING, "" },
	[AT_AUDIT] = { "audit", false, NOTHING, "" },
	[AT_POWEROFF] = { "poweroff", false, NOTHING, "" },
	[AT_REBOOT] = { "reboot", false, NOTHING, "" },
	[AT_START] = { "start", true, NOTHING, " web1" },
	[AT_SHUTDOWN] = { "shutdown", true, NOTHING, " web1" },
	[AT_STOP] = { "stop", true, A_STATUS, " web1" },
	[AT_PAUSE] = { "pause", true, NOTHING, " web1" },
	[AT_RESUME] = { "resume", true, NOTHING, " web1" },
	[AT_TARGET] = { "target", true, A_TARGET, " web1 64M" },
	[AT_MIN] = { "min", true, A_SIZE, " web1 64M" },
	[AT_MAX] = { "max", true, A_SIZE, " web1 64M" },
	[AT_SHARES] = { "shares", true, A_SHARES, " web1 2000" },
};

const char *timed_name(enum timed_kind kind)
{
	return actions[kind].name;
}

static bool find_action(const char *name, struct timed_action *a)
{
	for (u32 i = 0; i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, name)) {
			a->kind = (enum timed_kind)i;
			return true;
		}
	return false;
}

static bool parse_number(const char *s, u64 lowest, u64 highest, u64 *v)
{
	u64 size;

	/* A size without a unit is a number. */
	if (!*s || s[strlen(s) - 1] < '0' || s[strlen(s) - 1] > '9' || !config_parse_size(s, &size))
		return false;
	*v = size;
	return size >= lowest && size <= highest;
}

static bool parse_value(struct timed_action *a, const char *word, char *error)
{
	const char *name = actions[a->kind].name;

	switch (actions[a->kind].value) {
	case A_TARGET:
		a->by_policy = !strcmp(word, "policy");
		if (a->by_policy)
			return true;
		/* fall through */
	case A_SIZE:
		if (!config_parse_size(word, &a->value) || a->value & PAGE_MASK)
			return config_error(
				error,
				"%s takes a size, a multiple of 4K%s, not \"%s\"; for example 64M",
				name, a->kind == AT_TARGET ? ", or \"policy\"" : "", word);
		return true;
	case A_SHARES:
		return parse_number(word, 1, SHARES_MAX, &a->value) ||
		       config_error(error, "shares are a number from 1 to %d, not \"%s\"",
				    SHARES_MAX, word);
	case A_STATUS:
		return parse_number(word, 0, STATUS_MAX, &a->value) ||
		       config_error(error, "a status is a number from 0 to %d, not \"%s\"",
				    STATUS_MAX, word);
	}
	return config_error(error, "\"%s\" is too much: write at = TIME %s%s", word, name,
			    actions[a->kind].example);
}

bool timed_parse(const char *s, struct timed_action *a, char error[CONFIG_ERROR_MAX])
{
	char word[CONFIG_NAME_MAX + 1];
	const char *example;

	*a = (struct timed_action){ 0 };
	config_next_word(&s, word, sizeof(word));
	if (!config_parse_time(word, &a->at_ms))
		return config_error(
			error, "\"%s\" is not a time; write for example at = 90s status", word);
	if (!config_next_word(&s, word, sizeof(word)) || !find_action(word, a))
		return config_error(
			error,
			"\"%s\" is no action; there are status, audit, poweroff, reboot, start, shutdown, stop, pause, resume, target, min, max, shares",
			word);
	example = actions[a->kind].example;
	if (actions[a->kind].vm &&
	    (!config_next_word(&s, word, sizeof(word)) || !str_copy(a->vm, word, sizeof(a->vm))))
		return config_error(error,
				    "%s needs the name of a VM; write for example at = 90s %s%s",
				    timed_name(a->kind), timed_name(a->kind), example);
	if (config_next_word(&s, word, sizeof(word))) {
		if (!parse_value(a, word, error))
			return false;
		if (config_next_word(&s, word, sizeof(word)))
			return config_error(error, "\"%s\" is too much: write at = TIME %s%s", word,
					    timed_name(a->kind), example);
	} else if (actions[a->kind].value != NOTHING && a->kind != AT_STOP) {
		return config_error(error, "%s needs a value; write for example at = 90s %s%s",
				    timed_name(a->kind), timed_name(a->kind), example);
	}
	return true;
}

bool timed_resolve(struct timed_action *a, const struct config *c, char error[CONFIG_ERROR_MAX])
{
	bool size = a->kind == AT_TARGET || a->kind == AT_MIN || a->kind == AT_MAX;

	if (!actions[a->kind].vm)
		return true;
	while (a->vm_id < c->nr_vms && strcmp(c->vm[a->vm_id].name, a->vm))
		a->vm_id++;
	if (a->vm_id == c->nr_vms)
		return config_error(error, "there is no VM \"%s\"; a section [vm %s] is missing",
				    a->vm, a->vm);
	if (size && a->value > c->vm[a->vm_id].memory)
		return config_error(error,
				    "%s is more than the memory of VM %s; write %luK or less",
				    timed_name(a->kind), a->vm, c->vm[a->vm_id].memory >> 10);
	return true;
}
