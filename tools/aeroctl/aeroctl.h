/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aeroctl: what its files share.  Each command returns an exit status; what
 * went wrong is on standard error, with what to do about it.  Memory is in
 * pages of 4 KiB until it is shown.
 */
#ifndef AEROCTL_H
#define AEROCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../guest-driver/aerostat_abi.h"

/* Exit statuses; aeroctl.8 has them, too. */
enum status {
	DONE,
	FAILED,	   /* refused, in this state or with these values */
	USAGE,	   /* the command line */
	NO_DEVICE, /* no /dev/aerostat, or this VM may not manage */
	NO_VM,
	CORRUPT, /* the audit has found a difference */
};

#define MAX_VMS 64
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- device.c: the only way to the hypervisor; unit tests have another one --- */

/* 0, or an errno. The hypervisor's own answer is in m->status. */
int device_manage(struct aero_manage *m);
int device_pressure(const struct aero_pressure *p);
/* The VM that we are in; -1: in none of Aerostat. */
int device_own_vm(void);

/* --- call.c --- */

/* "aeroctl: ..." to standard error. Returns @status. */
int wrong(enum status status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes the call; @data is where its structure goes, or NULL.  Says what went wrong about @what. */
int call(const char *what, struct aero_manage m, void *data, size_t size, uint64_t *result);

/* The same, but AERO_ERR_* is in *@answer and for the caller to explain. */
int call_raw(struct aero_manage m, void *data, size_t size, int64_t *answer, uint64_t *result);

/* Says why /dev/aerostat cannot be used: @error is an errno. */
int no_device(int error);

/* Says what @answer, an AERO_ERR_*, means about @what. */
int refused(const char *what, int64_t answer);

/* All there is to see, at about the same time. */
struct snapshot {
	struct aero_host_info host;
	unsigned int nr;
	struct aero_vm_info vm[MAX_VMS];
	struct aero_stats guest[MAX_VMS];
};
int take_snapshot(struct snapshot *s);
int take_explain(const struct aero_vm_info *vm, struct aero_explain *e);

/* By name, or by number if there is no such name. */
int find_vm(const char *name, struct aero_vm_info *vm);

/* --- text.c: words and numbers, for people --- */

#define NUMBER_MAX 24
/* Pages as MiB: "26.5", "4096", "128.0G". Returns @text. */
const char *text_mib(char text[NUMBER_MAX], uint64_t pages);
/* The same with its unit: "26.5 MiB". */
const char *text_size(char text[NUMBER_MAX], uint64_t pages);
/* "64M" -> pages. false: not a size, or no multiple of 4K. */
bool parse_size(const char *text, uint64_t *pages);
/* A decimal number from @low to @high, and nothing else. */
bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *value);

/* The word of struct aero_host_info as "0.2.0"; "?" if the hypervisor does not say it. */
const char *text_version(char text[NUMBER_MAX], uint64_t version);

/* What is not known, from a newer hypervisor, is "?". */
const char *text_memory_state(unsigned int state);
const char *text_vm_state(unsigned int state);
const char *text_reason(unsigned int reason);
const char *text_rule(unsigned int rule);

/* --- fields.c: figures by name, for machines --- */
enum kind { GAUGE, COUNTER };
enum unit { BYTES, SECONDS, PLAIN, SIGNED };
struct field {
	const char *name, *help;
	enum kind kind;
	enum unit unit;
	/* BYTES, microseconds or a number; one of the two, as the table says. */
	uint64_t (*host)(const struct snapshot *s);
	uint64_t (*vm)(const struct snapshot *s, unsigned int i);
};
extern const struct field host_fields[], vm_fields[];
extern const size_t nr_host_fields, nr_vm_fields;

void write_stats(FILE *out, const struct snapshot *s);
void write_json(FILE *out, const struct snapshot *s);
void write_metrics(FILE *out, const struct snapshot *s);

/* --- show.c --- */
void write_list(FILE *out, const struct snapshot *s);
/* @line is called for each line, without its end. */
void explain_lines(const struct aero_vm_info *vm, const struct aero_explain *e,
		   void (*line)(void *context, const char *text), void *context);
void write_explain(FILE *out, const struct aero_vm_info *vm, const struct aero_explain *e);

/* --- rows.c: what top shows, without a terminal --- */
enum style { STYLE_PLAIN, STYLE_HEAD, STYLE_BAD, STYLE_WARN, STYLE_DIM, STYLE_SELECTED };
struct view {
	struct snapshot now, before;
	bool has_before;
	unsigned int sort;     /* which column, see sort_name() */
	unsigned int selected; /* a VM's id */
	unsigned int order[MAX_VMS];
};
const char *sort_name(unsigned int sort); /* NULL: there are no more */
void view_update(struct view *v, const struct snapshot *s);
/* The selection @by rows down, or up. */
void view_move(struct view *v, int by);
#define LINE_BYTES 512
void view_host(const struct view *v, char line[LINE_BYTES]);
/* Column heads if @row is -1; cut to @width. */
enum style view_row(const struct view *v, int row, unsigned int width, char line[LINE_BYTES]);

/* --- top.c, with curses; plain lines where the terminal has none --- */
int top(unsigned int period_ms, uint64_t rounds);

/* --- change.c, pressure.c: @argv has the command's own words --- */
int command_set(int argc, char **argv);
int command_pause(int argc, char **argv);
int command_resume(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_shutdown(int argc, char **argv);
int command_start(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_pressure(int argc, char **argv);
/* /proc/pressure/memory's text: true, and the totals, if it is understood. */
bool parse_pressure(const char *text, struct aero_pressure *p);
bool parse_meminfo(const char *text, struct aero_pressure *p);

/* --- main.c: the table of commands; a name is enough for tests --- */
int aeroctl(int argc, char **argv);

#endif
