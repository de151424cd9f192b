/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole VM on the fake machine: configured, loaded and started as on a real one. */
#ifndef TESTS_FAKE_GUEST_H
#define TESTS_FAKE_GUEST_H

#include <tests/fake/tables.h>

#include <hv/exit/exit.h>
#include <hv/load/load.h>
#include <hv/vm/vm.h>

/* Makes a fake machine with this much RAM and no VM. */
void guest_machine(u64 bytes, u32 nr_cpus);

/*
 * Checks that free and quarantined frames cover all promises, and that the promises' sum is right.
 */
void guest_check_promises(void);

/* 16 MiB, one vCPU, no reserve; a test changes what it needs. */
struct vm_config guest_config(const char *name);

/* Starts a VM with a kernel of a few bytes; @cfg must live as long as the VM. */
struct vm *guest_start(struct vm_config *cfg);

/* The same with this many vCPUs, whose local APICs are switched on. */
struct vm *guest_start_smp(struct vm_config *cfg, u32 vcpus);

/* A hypercall from CPL 0; returns RAX, and leaves the other registers in v->gpr. */
s64 guest_call(struct vcpu *v, u64 number, u64 rbx, u64 rcx, u64 rdx);

/* WRMSR: false if it ends in #GP. RDMSR. */
bool guest_wrmsr(struct vcpu *v, u32 msr, u64 value);
u64 guest_rdmsr(struct vcpu *v, u32 msr);

/* IN or OUT of @size bytes at @port, with @rax before; returns RAX after. */
u64 guest_port(struct vcpu *v, u16 port, u8 size, bool in, u64 rax);

/* loader_load() with @img a copy of @file that ends where the file ends. */
int guest_load(struct vm *vm, struct image *img, const void *file, size_t size, struct loaded *out);

/* An EPT violation at @gfn. */
void guest_touch(struct vcpu *v, u64 gfn);

#endif
