/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host as a machine: a few GiB of address space stand for physical memory, the test sets the
 * CPU and the time, and a scripted back end stands for VT-x. Nothing here waits, and everything is
 * recorded.
 */
#ifndef TESTS_FAKE_FAKE_H
#define TESTS_FAKE_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hv/vm/backend.h>
#include <hv/base/platform.h>
#include <mm/p2m.h>

#define FAKE_KHZ 1000000UL /* 1 GHz: a tick is a nanosecond */

struct fake {
	u8 *ram;
	u32 first, nr_frames;
	struct frame *table;
	u32 cpu, nr_cpus; /* the CPU that runs this code, and the number of CPUs */
	u64 tsc;
	u64 wall_us; /* wall time when the TSC was 0; 0: no clock */
	u64 kicked;  /* kicks: a bit per CPU, since the test cleared it */
	u64 kicks, scrubs, scrub_bytes, idles;
	u64 (*on_tsc)(void); /* NULL: time stands still */
	u64 log_ticks;	     /* TSC ticks that each byte of the log takes */
	void (*on_idle)(u64 deadline, const u32 *wake);
	jmp_buf power_off, panic;
	bool power_off_armed, panic_armed;
	bool no_random;
	bool rebooted; /* plat_reboot() was called, not plat_power_off() */
	char panic_text[256];
	char log[8192]; /* the newest lines of the log */
	size_t log_len;
};
extern struct fake fake;

/* RAM frames [first, first + count), all FREE_DIRTY; every CPU online. */
void fake_machine_at(u32 first, u32 count, u32 nr_cpus);
/* The usual machine: starts at 2 MiB, so that blocks are aligned and nobody has frame 0. */
void fake_machine(u32 count, u32 nr_cpus);
void fake_machine_off(void);

/* The same, in the form that cmocka calls after each test. */
int fake_teardown(void **state);

/* The bytes of a frame; tells whether @n bytes are zero. */
u8 *fake_frame(u32 frame);
bool fake_is_zero(const void *p, size_t n);

/* Every CPU passes a quiescent point, then the quarantine empties. */
void fake_settle(void);

/* Forgets the log; tells whether @text is in it. */
void fake_log_clear(void);
bool fake_log_has(const char *text);

/* lock_order.c: panics if this CPU holds a lock now. */
void lock_order_none(const char *when);
/* Frees all locks, whoever holds them. */
void lock_order_forget(void);
void lock_order_free(void);

/* The test expects this invariant to be broken. */
#define assert_panics(stmt)                              \
	do {                                             \
		fake.panic_armed = true;                 \
		if (!setjmp(fake.panic)) {               \
			stmt;                            \
			fail_msg("no panic: %s", #stmt); \
		}                                        \
		fake.panic_armed = false;                \
	} while (0)

/* xorshift64, seeded: the same run each time. */
static inline u64 fake_random(u64 *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* --- the back end (backend.c) --- */

#define FAKE_SCRIPT 256

/* The arch part of a vCPU. */
struct fake_vcpu {
	bool used;
	struct guest_state state;
	u64 reg[24]; /* those that are not in state */
	bool interruptible, nmi_allowed;
	bool window, nmi_window;
	u8 cr8, tpr_exit;
	u32 flushes;
	int interrupt, exception; /* the last vector injected, or -1 */
	u32 error;		  /* of the exception */
	u32 interrupts, exceptions, nmis, inits;
	u32 loaded_on; /* CPU + 1, 0: nowhere */
};

struct fake_backend_state {
	struct vmexit script[FAKE_SCRIPT];
	u32 scripted, played;
	/* Called in place of the script. */
	void (*on_run)(struct vcpu *v, u64 deadline, struct vmexit *exit);
	void (*on_flush)(struct vcpu *v);
	u32 runs, flushes;
	u32 cpuid[64][6]; /* leaf, sub, four registers */
	u32 nr_cpuid;
	u64 xcr0;
	u64 arch_capabilities;
};
extern struct fake_backend_state fake_cpu;
extern const struct cpu_backend fake_backend;
extern struct pt_format ept_format;
extern struct pt_format npt_format;

void fake_backend_reset(const struct pt_format *fmt);
void fake_play(const struct vmexit *e);
struct fake_vcpu *fake_of(struct vcpu *v);

/* --- the recorder (record.c; link with its --wrap flags) --- */

struct fake_alloc {
	bool armed;
	u32 fail_at; /* the k-th allocation from now on fails, counted from 0 */
	u32 seen;
	bool failed;
};
extern struct fake_alloc fake_alloc;
void fake_alloc_fail_at(u32 k);
void fake_alloc_off(void);

/* What happened, in order. */
void fake_record_reset(void);
void fake_record_enter(u32 cpu);
u32 fake_record_freed(void);	   /* frames that passed from quarantine to free */
extern u32 fake_record_violations; /* frames freed before every CPU had passed */

#endif
