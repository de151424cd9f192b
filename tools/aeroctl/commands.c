/* SPDX-License-Identifier: BSD-2-Clause */
/* aeroctl's commands by table, and those that only look. */
#include <string.h>

#include "aeroctl.h"

#ifndef RELEASE
#define RELEASE "development"
#endif

static int command_list(int argc, char **argv)
{
	static struct snapshot s;
	int err = take_snapshot(&s);

	(void)argc;
	(void)argv;
	if (!err)
		write_list(stdout, &s);
	return err;
}

static int command_explain(int argc, char **argv)
{
	struct aero_explain e;
	struct aero_vm_info vm;
	int err = find_vm(argv[0], &vm);

	(void)argc;
	if (!err)
		err = take_explain(&vm, &e);
	if (!err)
		write_explain(stdout, &vm, &e);
	return err;
}

static int command_stats(int argc, char **argv)
{
	static struct snapshot s;
	bool json = argc == 1;
	int err;

	if (json && strcmp(argv[0], "--json"))
		return wrong(USAGE, "stats knows --json, not \"%s\"", argv[0]);
	err = take_snapshot(&s);
	if (!err)
		(json ? write_json : write_stats)(stdout, &s);
	return err;
}

static int command_metrics(int argc, char **argv)
{
	static struct snapshot s;
	int err = take_snapshot(&s);

	(void)argc;
	(void)argv;
	if (!err)
		write_metrics(stdout, &s);
	return err;
}

static int command_top(int argc, char **argv)
{
	uint64_t seconds = 2, rounds = 0;

	if (argc > 0 && !parse_number(argv[0], 1, 3600, &seconds))
		return wrong(USAGE, "top takes seconds, 1 to 3600, not \"%s\"", argv[0]);
	if (argc > 1 && !parse_number(argv[1], 1, UINT32_MAX, &rounds))
		return wrong(USAGE, "top ends after a number of screens, not after \"%s\"",
			     argv[1]);
	return top((unsigned int)seconds * 1000, rounds);
}

/* The host's own version is among the figures of "stats". */
static int command_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("aeroctl %s, ABI %d\n", RELEASE, AERO_ABI_VERSION);
	return DONE;
}

static int command_help(int argc, char **argv);

static const struct command {
	const char *name, *arguments, *help;
	int least, most; /* arguments */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "list", "", "a line for each VM", 0, 0, command_list },
	{ "top", "[SECONDS [COUNT]]", "the same and more, full-screen", 0, 2, command_top },
	{ "explain", "VM", "why its balloon is what it is", 1, 1, command_explain },
	{ "set", "VM min|max SIZE", "how much it is guaranteed, or may have", 3, 3, command_set },
	{ "set", "VM shares NUMBER", "of memory when it is short, and of CPUs", 3, 3, command_set },
	{ "set", "VM target SIZE|policy", "of its balloon; policy: no longer by hand", 3, 3,
	  command_set },
	{ "pause", "VM", "its CPUs stand still", 1, 1, command_pause },
	{ "resume", "VM", "and go on", 1, 1, command_resume },
	{ "shutdown", "VM", "presses its power button", 1, 1, command_shutdown },
	{ "stop", "VM [STATUS]", "ends it at once", 1, 2, command_stop },
	{ "start", "VM", "one that has ended, or was never started", 1, 1, command_start },
	{ "stats", "[--json]", "all figures, in bytes and seconds", 0, 1, command_stats },
	{ "metrics", "", "the same as OpenMetrics text", 0, 0, command_metrics },
	{ "audit", "", "proves that each frame has the owner it should", 0, 0, command_audit },
	{ "pressure", "[SECONDS]", "tells the host of this VM's stalls and swap, again and again",
	  0, 1, command_pressure },
	{ "version", "", "of this program, and the ABI that it speaks", 0, 0, command_version },
	{ "help", "", "this", 0, 0, command_help },
};

static int command_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("usage: aeroctl COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-9s%-23s%s\n", commands[i].name, commands[i].arguments,
		       commands[i].help);
	printf("\nA SIZE is a number with K, M, G or T, a multiple of 4K: 64M.\n"
	       "It works in a VM with \"control = yes\"; aeroctl(8) has the rest.\n");
	return DONE;
}

int aeroctl(int argc, char **argv)
{
	const struct command *c = NULL;
	int err;

	if (argc < 2)
		return wrong(USAGE, "which command? \"aeroctl help\" lists them");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return command_help(0, NULL);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return command_version(0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(commands) && !c; i++)
		if (!strcmp(argv[1], commands[i].name))
			c = &commands[i];
	if (!c)
		return wrong(USAGE, "no command \"%s\"; \"aeroctl help\" lists them", argv[1]);
	if (argc - 2 < c->least || argc - 2 > c->most) {
		for (; c < commands + ARRAY_SIZE(commands) && !strcmp(argv[1], c->name); c++)
			wrong(USAGE, "usage: aeroctl %s %s", c->name, c->arguments);
		return USAGE;
	}
	err = c->run(argc - 2, argv + 2);
	/* A full disk or a closed pipe is no success. */
	if (!err && (fflush(stdout) || ferror(stdout)))
		return wrong(FAILED, "the output could not be written");
	return err;
}
