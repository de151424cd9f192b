/* SPDX-License-Identifier: BSD-2-Clause */
/* aerostat.conf: parsed once, pure; errors carry the line and what to write instead. */
#ifndef HV_CONFIG_H
#define HV_CONFIG_H

#include <hv/base/types.h>

#define MAX_VMS 64
#define MAX_VCPUS 16
#define MAX_VM_MODULES 4
#define SAMPLE_PAGES 100 /* unless configured */
#define CONFIG_NAME_MAX 32
#define CONFIG_TEXT_MAX 256
#define CONFIG_ERROR_MAX 200
#define SHARES_MAX 1000000

#define MAX_VM_DISKS 4

struct disk_config {
	char file[CONFIG_TEXT_MAX];
	bool blank;	/* no file: zeroes */
	bool host;	/* file is the name of a disk or partition of the host */
	bool read_only; /* of the host's */
	u64 writable;	/* bytes that may be written, in frames of the host; 0: read-only */
	u32 latency_us; /* of each request */
};

/* Which balloon drivers a VM is offered; AUTO: both, the first to start has it. */
enum balloon_choice { BALLOON_AUTO, BALLOON_AEROSTAT, BALLOON_VIRTIO, BALLOON_NONE };

struct vm_config {
	char name[CONFIG_NAME_MAX];
	u64 memory, min, max; /* bytes */
	u64 reserve;	      /* bytes */
	u32 shares;
	u32 vcpus;
	u32 balloon; /* enum balloon_choice */
	bool control;
	bool start;
	char kernel[CONFIG_TEXT_MAX];
	char cmdline[CONFIG_TEXT_MAX];
	u32 nr_modules;
	char module[MAX_VM_MODULES][CONFIG_TEXT_MAX]; /* "path arguments" */
	u32 nr_disks;
	struct disk_config disk[MAX_VM_DISKS];
	int line; /* of its section, for messages */
};

struct host_config {
	u64 memory;		       /* bytes for guests; 0: all there is */
	bool stay;		       /* do not power off when all VMs have ended */
	u32 status_ms;		       /* between two tables on the console; 0: none */
	u32 pages_ms;		       /* between two pages of the screen; 0: the log only */
	u32 policy_ms;		       /* between two decisions */
	u32 sample_ms;		       /* a period of the working-set sampling */
	u32 sample_pages;	       /* looked at in it, of each VM */
	u32 tax;		       /* idle memory tax, percent */
	u32 balloon_max;	       /* percent of a VM's memory */
	char console[CONFIG_NAME_MAX]; /* the VM that has the keyboard first; empty: none */
	u32 console_vm;		       /* its id */
	int console_line;
};

#define MAX_TIMED 32

enum timed_kind {
	AT_STATUS,
	AT_AUDIT,
	AT_POWEROFF,
	AT_REBOOT,
	AT_START,
	AT_SHUTDOWN,
	AT_STOP,
	AT_PAUSE,
	AT_RESUME,
	AT_TARGET,
	AT_MIN,
	AT_MAX,
	AT_SHARES,
};

/* One line "at = TIME ACTION [VM] [VALUE]": hv/control/timed.h. */
struct timed_action {
	u64 at_ms; /* after the VMs of boot were started */
	enum timed_kind kind;
	u32 vm_id;
	char vm[CONFIG_NAME_MAX]; /* empty: the action is not about one */
	u64 value;		  /* bytes, shares or a status */
	bool by_policy;		  /* target: the policy's again */
	bool done;
	int line;
};

struct config {
	struct host_config host;
	char note
		[CONFIG_ERROR_MAX]; /* something accepted that should be written otherwise, or "" */
	u32 nr_timed;
	struct timed_action timed[MAX_TIMED]; /* in the order of the file */
	u32 nr_vms;
	struct vm_config vm[MAX_VMS];
};

/*
 * Parses @text (@len bytes, need not end in NUL).  false: @error says
 * "line N: ..." and @c is not to be used.
 */
bool config_parse(const char *text, size_t len, struct config *c, char error[CONFIG_ERROR_MAX]);

/* The word for an action in the file. */
const char *timed_name(enum timed_kind kind);

#endif
