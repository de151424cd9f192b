/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypercall ABI between an Aerostat guest and the hypervisor; explained
 * in docs/abi.md.  Plain C, no other header than <stdint.h> (or Linux's types).
 *
 * A call is the instruction VMCALL (Intel) or VMMCALL (AMD), at CPL 0 only:
 *   in:  RAX number, RBX, RCX, RDX arguments
 *   out: RAX status, RBX result, RCX balloon target (4 KiB pages), RDX how many
 *        4 KiB pages the next batch should cover at most
 * No other register or flag changes.
 */
#ifndef AEROSTAT_ABI_H
#define AEROSTAT_ABI_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef u64 aero_u64;
typedef u32 aero_u32;
typedef u16 aero_u16;
typedef u8 aero_u8;
#else
#include <stdint.h>
typedef uint64_t aero_u64;
typedef uint32_t aero_u32;
typedef uint16_t aero_u16;
typedef uint8_t aero_u8;
#endif

#define AERO_ABI_VERSION 1

/* CPUID */
#define AERO_CPUID_BASE 0x40000000u /* EAX: last leaf; EBX ECX EDX: "AerostatAero" */
#define AERO_CPUID_ABI \
	0x40000001u /* EAX: ABI version; EBX: features; ECX: instruction; EDX: batch size */
#define AERO_CPUID_VM 0x40000002u      /* EAX: VM id; EBX: vCPUs; ECX: memory in MiB */
#define AERO_CPUID_TIMING 0x40000010u  /* EAX: TSC kHz; EBX: APIC timer kHz */
#define AERO_SIGNATURE_EBX 0x6f726541u /* "Aero" */
#define AERO_SIGNATURE_ECX 0x74617473u /* "stat" */
#define AERO_SIGNATURE_EDX 0x6f726541u /* "Aero" */
#define AERO_INSTRUCTION_VMCALL 1
#define AERO_INSTRUCTION_VMMCALL 2

/* Features */
#define AERO_FEATURE_2M (1u << 0) /* entries of 2 MiB */
#define AERO_FEATURE_DOORBELL (1u << 1)
#define AERO_FEATURE_STATS (1u << 2)
#define AERO_FEATURE_GROW (1u << 3)
#define AERO_FEATURE_MANAGE (1u << 4) /* this VM may manage others */
#define AERO_FEATURE_REPORT (1u << 5)

/* Calls. All our numbers have bit 31 set; a call with one of KVM's numbers returns -1000. */
#define AERO_CALL_START 0x80000000u /* RBX version, RCX features -> RBX features granted */
#define AERO_CALL_POLL 0x80000001u
#define AERO_CALL_LOCK 0x80000002u     /* RBX batch page, RCX count, RDX first -> RBX done */
#define AERO_CALL_UNLOCK 0x80000003u   /* the same */
#define AERO_CALL_STATS 0x80000004u    /* RBX address of struct aero_stats */
#define AERO_CALL_DOORBELL 0x80000005u /* RBX vector (0: off), RCX APIC id */
#define AERO_CALL_GROW 0x80000006u     /* RBX pages wanted back at once */
#define AERO_CALL_REPORT 0x80000007u   /* arguments as for LOCK: pages that are free in the guest */
#define AERO_CALL_END 0x80000008u      /* ends what START began: another driver may start */

#define AERO_DOORBELL_ACPI 256 /* in place of a vector: the interrupt of the ACPI device AERO0001 */

/* Management: only from a VM with control = yes */
#define AERO_CALL_HOST_INFO 0x80000100u	 /* RBX address of struct aero_host_info */
#define AERO_CALL_VM_INFO 0x80000101u	 /* RBX VM id, RCX address of struct aero_vm_info */
#define AERO_CALL_SET_TARGET 0x80000102u /* RBX VM id, RCX pages, or ~0: by policy */
#define AERO_CALL_AUDIT 0x80000103u	 /* resumable -> RBX frames seen */
#define AERO_CALL_PAUSE 0x80000104u	 /* RBX VM id */
#define AERO_CALL_RESUME 0x80000105u
#define AERO_CALL_STOP 0x80000106u	  /* RBX VM id, RCX status */
#define AERO_CALL_RESTART 0x80000107u	  /* RBX VM id, of one that has ended */
#define AERO_CALL_SET 0x80000108u	  /* RBX VM id, RCX AERO_SET_*, RDX pages, or shares */
#define AERO_CALL_SHUTDOWN 0x80000109u	  /* RBX VM id: presses its power button */
#define AERO_CALL_EXPLAIN 0x8000010au	  /* RBX VM id, RCX address of struct aero_explain */
#define AERO_CALL_GUEST_STATS 0x8000010bu /* RBX VM id, RCX address of struct aero_stats */

#define AERO_SET_MIN 1 /* pages that it is guaranteed */
#define AERO_SET_MAX 2
#define AERO_SET_SHARES 3

/* Status of a call */
#define AERO_OK 0
#define AERO_AGAIN 1 /* the call reached its limit of work: call again (first = RBX) */
#define AERO_ERR_INVALID (-1)
#define AERO_ERR_FAULT (-2) /* the address is not accessible memory */
#define AERO_ERR_STATE (-3) /* e.g. LOCK before START */
#define AERO_ERR_PERM (-4)
#define AERO_ERR_NOSYS (-5)
#define AERO_ERR_NOENT (-6)
#define AERO_ERR_NOMEM (-7)
#define AERO_ERR_CORRUPT (-8) /* the audit has found an error */
#define AERO_ERR_KVM_NOSYS (-1000)

/*
 * One entry of a batch: the page's guest-physical address, bit 0 set for 2 MiB. All other low bits
 * must be 0; the hypervisor writes the status into bits 11:4.
 */
#define AERO_BATCH_MAX 512
#define AERO_ENTRY_2M 1ull
#define AERO_ENTRY_ADDR 0xfffffffffffff000ull
#define AERO_ENTRY_STATUS_SHIFT 4
#define AERO_ENTRY_STATUS_MASK (0xffull << AERO_ENTRY_STATUS_SHIFT)

#define AERO_ENTRY_OK 0
#define AERO_ENTRY_MALFORMED 1 /* low bits, or not aligned to its size */
#define AERO_ENTRY_RANGE 2     /* not memory of this VM */
#define AERO_ENTRY_STATE 3     /* LOCK: already in; UNLOCK: not in */
#define AERO_ENTRY_BUSY 4      /* the hypervisor uses it: pinned */
#define AERO_ENTRY_NOMEM 5     /* the host has no memory for a table now: try again later */

struct aero_batch {
	aero_u64 entry[AERO_BATCH_MAX];
};

/* What the guest reports of itself. Pages are 4 KiB; counters count from boot. */
struct aero_stats {
	aero_u64 total, free, available, file, anon;
	aero_u64 swap_in, swap_out, major_faults, refaults;
	aero_u64 oom_kills;
	aero_u64 stall_some, stall_full; /* microseconds that tasks have waited for memory */
	aero_u64 swap_total, swap_free;
	aero_u64 reserved[2];
};

#define AERO_NAME_MAX 32

struct aero_host_info {
	aero_u64 time_us;
	aero_u64 total, free, clean, quarantine; /* 4 KiB frames; free includes clean */
	aero_u64 scrubbed_idle, scrubbed_demand;
	aero_u32 state; /* 0 high, 1 soft, 2 hard, 3 low */
	aero_u32 nr_vms;
	aero_u64 active;	     /* of all VMs together */
	aero_u64 hypervisor, tables; /* the hypervisor's own, and second-level tables */
	aero_u64 promised;	     /* frames in reserves: free, and each promised to one VM */
	aero_u64 tax;		     /* idle memory tax, percent */
	aero_u64 version;	     /* major << 32 | minor << 16 | patch; 0: older than 0.2.0 */
	aero_u64 reserved[2];
};

#define AERO_VM_OFF 0
#define AERO_VM_RUNNING 1
#define AERO_VM_PAUSED 2
#define AERO_VM_WAITING 3 /* for memory */
#define AERO_VM_ENDED 4
#define AERO_VM_STARTING 5 /* also between the two halves of a reboot */
#define AERO_VM_PANICKED 6 /* its kernel has reported a crash and does nothing more */
#define AERO_VM_HALTED 7   /* all its vCPUs halt with interrupts off: nothing will wake it */
/* The words that all tools show for them. */
#define AERO_VM_STATE_WORDS                                                                      \
	{                                                                                        \
		"off", "running", "paused", "waiting", "ended", "starting", "panicked", "halted" \
	}

struct aero_vm_info {
	char name[AERO_NAME_MAX];
	aero_u32 id, state;
	aero_u32 exit_status, vcpus;
	aero_u64 memory, min, max, shares; /* pages; shares are a number */
	aero_u64 resident, balloon, target, active;
	aero_u64 faults, popped, locked, unlocked, refused;
	aero_u64 tables, flushes, exits;
	aero_u64 run_us; /* on all its vCPUs */
	aero_u64 starts; /* since the host booted, the present one included */
	aero_u64 reported;
	aero_u64 entitlement;		  /* pages that it may hold, by the last decision */
	aero_u64 rho;			  /* shares per page, adjusted by the tax, times 2^20 */
	aero_u64 disk;			  /* frames that its disks hold */
	aero_u32 active_low, active_high; /* 95 % interval of active, per mille of resident */
	aero_u8 reason, rule;		  /* AERO_REASON_*, AERO_RULE_* */
	aero_u16 flags;			  /* AERO_VM_FLAG_* */
	aero_u32 unused;
};

#define AERO_VM_FLAG_MANUAL 1  /* the target was set by hand */
#define AERO_VM_FLAG_CONTROL 2 /* it may manage other VMs */
#define AERO_VM_FLAG_DRIVER 4  /* its driver has said START */

/* Why the target has its value: docs/policy.md. */
#define AERO_REASON_NONE 0	 /* memory is plentiful: the VM need not give any */
#define AERO_REASON_VICTIM 1	 /* it holds more than its entitlement while memory is short */
#define AERO_REASON_GIVEN_BACK 2 /* there is enough memory again */
#define AERO_REASON_GROW 3	 /* it asked for memory before running out */
#define AERO_REASON_HOLD 4	 /* hold-off: it asked to grow less than 2 s ago */
#define AERO_REASON_MAX 5	 /* kept below its max */
#define AERO_REASON_MANUAL 6	 /* set by hand */
#define AERO_REASON_SILENT 7	 /* silent: it has no driver that answers */
#define AERO_REASON_STUCK 8	 /* stuck: its driver answers, and its balloon does not grow */
#define AERO_REASON_BEYOND 9	 /* a victim, beyond balloon_max: no other VM can give memory */

/* What bounds an entitlement. */
#define AERO_RULE_SHARES 0 /* its shares, with the tax on its idle pages */
#define AERO_RULE_MIN 1	   /* its guarantee */
#define AERO_RULE_NEED 2   /* all memory that it could use */
#define AERO_RULE_HELD 3   /* it has memory that no balloon can take now */

/* Steps in one direction for one reason are one record. */
struct aero_decision {
	aero_u64 first_us, last_us; /* since boot: its first step and its last */
	aero_u64 from, to;	    /* target, pages */
	aero_u64 entitlement, rho;  /* as they were at the last step */
	aero_u64 resident;
	aero_u16 steps;		     /* 65535: or more */
	aero_u16 active;	     /* per mille of resident */
	aero_u8 state, reason, rule; /* state: of the host's memory */
	aero_u8 unused;
};

#define AERO_DECISIONS 8

/* The last decisions about a VM's target in its present run, the oldest first. */
struct aero_explain {
	aero_u64 total; /* number of all records; the last ones are here */
	aero_u64 nr;	/* of them here */
	struct aero_decision decision[AERO_DECISIONS];
};

/*
 * /dev/aerostat of the Linux driver; users of these constants include <linux/ioctl.h>. The driver
 * makes the call if it is a management call and the sizes fit; the hypervisor decides whether this
 * VM may make it.
 */
#define AERO_IOC_MANAGE _IOWR('A', 0xe0, struct aero_manage)
#define AERO_IOC_PRESSURE _IOW('A', 0xe1, struct aero_pressure)

struct aero_manage {
	aero_u64 number;	 /* AERO_CALL_* */
	aero_u64 arg[3];	 /* RBX, RCX, RDX; 0 in place of a structure's address */
	aero_u64 data, size;	 /* address for that structure; 0: none */
	aero_u64 status, result; /* the reply's RAX and RBX */
};

/* Figures that the kernel does not tell its modules. The driver adds them to STATS for 10 s. */
struct aero_pressure {
	aero_u64 stall_some, stall_full; /* microseconds */
	aero_u64 swap_total, swap_free;	 /* pages */
};

_Static_assert(sizeof(struct aero_batch) == 4096, "a batch is one page");
_Static_assert(sizeof(struct aero_stats) == 128, "ABI");
_Static_assert(sizeof(struct aero_host_info) == 128, "ABI");
_Static_assert(sizeof(struct aero_vm_info) == 48 + 24 * 8, "ABI");
_Static_assert(sizeof(struct aero_decision) == 64, "ABI");
_Static_assert(sizeof(struct aero_explain) == 16 + 64 * AERO_DECISIONS, "ABI");
_Static_assert(sizeof(struct aero_manage) == 64, "ABI");
_Static_assert(sizeof(struct aero_pressure) == 32, "ABI");

#endif
