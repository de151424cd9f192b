/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypercall ABI between an Aerostat guest and the hypervisor; explained
 * in docs/abi.md.  Plain C, no other header than <stdint.h> (or Linux's types).
 *
 * A call is VMCALL (Intel) or VMMCALL (AMD), from CPL 0 only:
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
#else
#include <stdint.h>
typedef uint64_t aero_u64;
typedef uint32_t aero_u32;
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

/* Calls. Bit 31 is set in all of ours; KVM's own numbers are answered with -1000. */
#define AERO_CALL_START 0x80000000u /* RBX version, RCX features -> RBX features granted */
#define AERO_CALL_POLL 0x80000001u
#define AERO_CALL_LOCK 0x80000002u     /* RBX batch page, RCX count, RDX first -> RBX done */
#define AERO_CALL_UNLOCK 0x80000003u   /* the same */
#define AERO_CALL_STATS 0x80000004u    /* RBX address of struct aero_stats */
#define AERO_CALL_DOORBELL 0x80000005u /* RBX vector (0: off), RCX APIC id */
#define AERO_CALL_GROW 0x80000006u     /* RBX pages wanted back at once */
#define AERO_CALL_REPORT 0x80000007u   /* as LOCK: pages that are free in the guest */

#define AERO_DOORBELL_ACPI 256 /* for a vector: the interrupt of the ACPI device AERO0001 */

/* Management: only from a VM with control = yes */
#define AERO_CALL_HOST_INFO 0x80000100u	 /* RBX address of struct aero_host_info */
#define AERO_CALL_VM_INFO 0x80000101u	 /* RBX VM id, RCX address of struct aero_vm_info */
#define AERO_CALL_SET_TARGET 0x80000102u /* RBX VM id, RCX pages, or ~0: by policy */
#define AERO_CALL_AUDIT 0x80000103u	 /* resumable -> RBX frames seen */
#define AERO_CALL_PAUSE 0x80000104u	 /* RBX VM id */
#define AERO_CALL_RESUME 0x80000105u
#define AERO_CALL_STOP 0x80000106u    /* RBX VM id, RCX status */
#define AERO_CALL_RESTART 0x80000107u /* RBX VM id, of one that has ended */

/* Status of a call */
#define AERO_OK 0
#define AERO_AGAIN 1 /* a bound was reached: call again (first = RBX) */
#define AERO_ERR_INVALID (-1)
#define AERO_ERR_FAULT (-2) /* an address that is not accessible memory */
#define AERO_ERR_STATE (-3) /* e.g. LOCK before START */
#define AERO_ERR_PERM (-4)
#define AERO_ERR_NOSYS (-5)
#define AERO_ERR_NOENT (-6)
#define AERO_ERR_NOMEM (-7)
#define AERO_ERR_CORRUPT (-8) /* the audit has found a difference */
#define AERO_ERR_KVM_NOSYS (-1000)

/*
 * One entry of a batch: the page's guest-physical address, bit 0 set for
 * 2 MiB.  All other low bits must be 0; the status comes back in bits 11:4.
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
#define AERO_ENTRY_BUSY 4      /* the hypervisor needs it where it is */
#define AERO_ENTRY_NOMEM 5     /* no memory for a table now: try again later */

struct aero_batch {
	aero_u64 entry[AERO_BATCH_MAX];
};

/* What the guest says of itself. Pages are 4 KiB; counters count from boot. */
struct aero_stats {
	aero_u64 total, free, available, file, anon;
	aero_u64 swap_in, swap_out, major_faults, refaults;
	aero_u64 oom_kills;
	aero_u64 reserved[6];
};

#define AERO_NAME_MAX 32

struct aero_host_info {
	aero_u64 time_us;
	aero_u64 total, free, clean, quarantine; /* 4 KiB frames; free includes clean */
	aero_u64 scrubbed_idle, scrubbed_demand;
	aero_u32 state; /* 0 high, 1 soft, 2 hard, 3 low */
	aero_u32 nr_vms;
	aero_u64 reserved[8];
};

#define AERO_VM_OFF 0
#define AERO_VM_RUNNING 1
#define AERO_VM_PAUSED 2
#define AERO_VM_WAITING 3 /* for memory */
#define AERO_VM_ENDED 4
#define AERO_VM_STARTING 5

struct aero_vm_info {
	char name[AERO_NAME_MAX];
	aero_u32 id, state;
	aero_u32 exit_status, vcpus;
	aero_u64 memory, min, max, shares; /* pages; shares are a number */
	aero_u64 resident, balloon, target, active;
	aero_u64 faults, popped, locked, unlocked, refused;
	aero_u64 tables, flushes, exits;
	aero_u64 run_us; /* of all its vCPUs */
	aero_u64 starts; /* since the host booted, with the present one */
	aero_u64 reported;
	aero_u64 reserved[5];
};

_Static_assert(sizeof(struct aero_batch) == 4096, "a batch is one page");
_Static_assert(sizeof(struct aero_stats) == 128, "ABI");
_Static_assert(sizeof(struct aero_host_info) == 128, "ABI");
_Static_assert(sizeof(struct aero_vm_info) == 48 + 24 * 8, "ABI");

#endif
