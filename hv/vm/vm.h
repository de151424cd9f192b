/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine.  VM records live as long as the host; a slot's VM may
 * end and be started again.  Fields marked (l) are under p2m.lock.
 */
#ifndef HV_VM_H
#define HV_VM_H

#include <hv/base/lock.h>
#include <hv/memory/balloon.h>
#include <hv/config/config.h>
#include <hv/dev/console.h>
#include <hv/dev/bus.h>
#include <hv/apic/ioapic.h>
#include <hv/dev/rtc.h>
#include <hv/dev/uart.h>
#include <hv/load/load.h>
#include <hv/memory/explain.h>
#include <hv/vm/counts.h>
#include <hv/vm/vcpu.h>
#include <hv/vm/vm_log.h>
#include <mm/audit.h>
#include <mm/sample.h>

enum vm_state {
	VM_NONE,     /* never started */
	VM_QUEUED,   /* to be started by vm_background() */
	VM_STARTING, /* being built */
	VM_BUILT,    /* runs as soon as those queued with it are built too */
	VM_RUNNING,
	VM_PAUSED, /* by management */
	VM_ENDING, /* over; its memory is being taken back */
	VM_ENDED,
};

/* A stop that has to wait for vm_background(). */
enum vm_stop_state { STOP_NOBODY, STOP_WRITTEN, STOP_ASKED };

struct vm_stop {
	u32 state;  /* (a) enum vm_stop_state; whoever makes it WRITTEN fills in the rest */
	int status; /* with which the VM ends */
	char reason[96];
};

#define VM_STATUS_CRASHED 255
#define VM_START_PATIENCE_MS 10000
#define VM_POWER_PIN 9 /* of the I/O APIC: GED in dsdt.asl */

struct vm {
	u16 id;
	u32 state;	       /* (a) enum vm_state */
	u64 run;	       /* no two runs of any VMs have the same; from 1 */
	struct vm_config *cfg; /* min, max and shares may change: hv/control/manage.h */
	struct p2m p2m;
	struct balloon balloon;
	struct sampler sampler;
	struct ioapic ioapic;
	struct console console;
	struct uart uart;
	struct rtc rtc;
	struct bus *bus; /* NULL: it has no virtio devices */
	u32 slots;	 /* of it, bit per slot in use */
	bool is_linux;	 /* its kernel, as of its last start */
	struct explain explain;
	struct vm_log log;
	u32 preparing;	    /* (a) vm_start() is at work */
	u32 dumped;	    /* (a) in this run: the vCPU that stopped it has been shown */
	struct audit audit; /* of this VM's management calls, under audit_lock */
	SPINLOCK(LOCK_AUDIT) audit_lock;
	u32 nr_vcpus;
	struct vcpu *vcpus[MAX_VCPUS];
	u64 pages;	   /* of memory, in 4 KiB */
	u64 tsc_offset;	   /* of its vCPUs at the start */
	u32 panicked;	   /* (a) its kernel has said so, in this run */
	u32 tsc_uneven;	   /* (a) the guest wrote the TSC of one of several vCPUs */
	u64 tsc_khz;	   /* as it was known at the start: all vCPUs are told the same */
	u64 pv_wall;	   /* MSR_PV_WALL_CLOCK */
	u64 faults;	   /* demand-zero faults served */
	u64 exec_splits;   /* (l) large pages split because code ran in them */
	u64 refused_insns; /* instructions of processes that touched a device and are not emulated */
	u64 active;	   /* estimate, in pages */
	u32 active_permille;
	u64 entitlement; /* (a) frames, of the last decision; 0: there was none yet */
	u32 waiting;	 /* (a) vCPUs that wait for memory */
	u64 woken_until; /* (a) TSC up to which one that was woken counts as waiting */
	u64 wait_logged; /* TSC of the last line about it */
	u64 next_try;	 /* TSC; a start that lacks memory is tried again */
	u64 give_up_at;	 /* TSC */
	bool again;	 /* (b) it is off only to be started again, and stays admitted */
	u64 teardown_gfn;
	struct load_queue loading; /* while it is STARTING */
	u64 overhead_before;	   /* frames that were not guest memory when it began to start */
	u32 quick_reboots;	   /* in a row */
	u32 starts;		   /* that came about */
	struct vm_counts past;	   /* of the runs before the present one */
	int exit_status;
	char exit_reason[96];
	struct vm_stop stop;
};

/* All VMs of the configuration, in its order; the id is the index. */
extern struct vm *vms[MAX_VMS];
extern u32 nr_vms;

/* Each VM of these, whatever its state; outside hv/vm/ no loop counts VMs by itself. */
#define for_each_vm(vm) for (u32 _##vm = 0; _##vm < nr_vms && ((vm) = vms[_##vm], true); _##vm++)
/* The same, beginning with the VM of id @first, which stays as it is meanwhile, and around. */
#define for_each_vm_from(vm, first)                                                           \
	for (u32 _##vm = 0; _##vm < nr_vms && ((vm) = vms[((first) + _##vm) % nr_vms], true); \
	     _##vm++)

/* The settings of [host]; until boot has read them, defaults. */
extern struct host_config *host_config;

struct p2m *vm_p2m_of(u16 owner);

/* Makes the record of a configured VM. HV_ENOMEM. */
int vm_create(u16 id, struct vm_config *cfg);

/*
 * Asks for a start, from anywhere: vm_background() loads the images and lets
 * it run.  HV_ESTATE: it is not off.
 */
int vm_queue_start(struct vm *vm);

/* In frames: what the disks of @vm hold now. */
u64 vm_disk_frames(const struct vm *vm);

/* Ends @vm with @status, from any CPU; its memory is reclaimed in the background. */
void vm_end(struct vm *vm, int status, const char *fmt, ...) __printf(3, 4);

/*
 * The same for somebody outside of it, also while it is being started or is off to be started
 * again: it is not, then.  HV_ESTATE: it is off.
 */
int vm_stop(struct vm *vm, int status, const char *reason);

/*
 * Ends @vm and starts it again from its images, a second after its last start or
 * later; nothing if it ends already.  By the CPU that runs one of its vCPUs, so that
 * the VM cannot be taken apart before it is known to come back.
 */
void vm_reboot(struct vm *vm);

/* Its kernel has panicked, as @how shows, and will do nothing more. Any CPU that serves it. */
void vm_panicked(struct vm *vm, const char *how);

/* All its vCPUs have halted with interrupts off, or were never started: nothing will wake it. */
bool vm_halted(const struct vm *vm);

/* The interrupt that the guest's balloon driver has asked for by DOORBELL, if any. Any CPU. */
void vm_ring_doorbell(struct vm *vm);

/*
 * Presses the power button, which asks the guest to shut down; whether it listens, nobody
 * knows.  One that sleeps is only woken, by its doorbell.  HV_ESTATE: it is off.  Any CPU; takes
 * ioapic.lock.
 */
int vm_press_power(struct vm *vm);

int vm_pause(struct vm *vm);
int vm_resume(struct vm *vm);

/* A bounded piece of background work: teardown of ended VMs, queued starts. True if any. */
bool vm_background(void);

/* True once every VM that was started has ended and been reclaimed. */
bool vm_all_ended(void);

/* First gfn above its memory, the memory hole included. */
u64 vm_top_gfn(const struct vm *vm);

static inline bool vm_alive(const struct vm *vm)
{
	u32 s = atomic_load(&vm->state);

	return s == VM_RUNNING || s == VM_PAUSED;
}

#endif
