/* SPDX-License-Identifier: BSD-2-Clause */
#include <tests/fake/guest.h>

#include <hv/apic/lapic_regs.h>
#include <hv/memory/governor.h>
#include <hv/load/images.h>
#include <hv/memory/waiters.h>
#include <hv/vm/sched.h>

/* Multiboot header with addresses, and an entry point. */
static const u32 kernel[16] = {
	0x1badb002, 0x10000, 0u - 0x1badb002 - 0x10000, 0x100000, 0x100000, 0, 0, 0x100020,
};

/* As boot/main.c does it. */
static bool background_work(void)
{
	bus_work(false);
	return vm_background();
}

static bool idle_work(void)
{
	return vm_background() || bus_work(true) || memory_idle_work();
}

void guest_machine(u64 bytes, u32 nr_cpus)
{
	static struct host_config host;

	host = (struct host_config){ .policy_ms = 100, .balloon_max = 90, .tax = 75 };

	memset(vms, 0, sizeof(vms));
	nr_vms = 0;
	fake_machine((u32)(bytes >> PAGE_SHIFT), nr_cpus);
	fake_backend_reset(&ept_format);
	sched_init();
	host_config = &host;
	governor_init();
	bus_init();
	sched_set_work((struct sched_work){ .background = background_work, .idle = idle_work });
	for (u32 i = 0; i < nr_cpus; i++) {
		fake.cpu = i;
		assert_int_equal(balloon_cpu_init(), HV_OK);
	}
	fake.cpu = 0;
	if (!image_find("kernel"))
		image_add("kernel", kernel, sizeof(kernel));
}

void guest_check_promises(void)
{
	struct frame_stats s = frames_stats();
	const struct vm *vm;
	u64 sum = 0;

	for_each_vm(vm)
		sum += vm->p2m.acct.min_promised + vm->p2m.acct.tables_promised +
		       vm->p2m.acct.reserve;
	assert_int_equal(s.reserved, sum);
	assert_true(s.free_dirty + s.free_clean + s.quarantine >= s.reserved);
}

struct vm_config guest_config(const char *name)
{
	struct vm_config c = { .memory = MIB(16),
			       .max = MIB(16),
			       .shares = 1000,
			       .vcpus = 1,
			       .start = true,
			       .kernel = "kernel" };

	snprintf(c.name, sizeof(c.name), "%s", name);
	return c;
}

struct vm *guest_start(struct vm_config *cfg)
{
	u16 id = (u16)nr_vms;

	assert_int_equal(vm_create(id, cfg), HV_OK);
	assert_int_equal(vm_queue_start(vms[id]), HV_OK);
	assert_true(vm_background());
	assert_int_equal(vms[id]->state, VM_RUNNING);
	return vms[id];
}

struct vm *guest_start_smp(struct vm_config *cfg, u32 vcpus)
{
	struct vm *vm;

	cfg->vcpus = vcpus;
	vm = guest_start(cfg);
	for (u32 i = 0; i < vcpus; i++)
		lapic_mmio_write(vm->vcpus[i], R_SVR, SVR_ENABLE | 0xff);
	return vm;
}

s64 guest_call(struct vcpu *v, u64 number, u64 rbx, u64 rcx, u64 rdx)
{
	struct vmexit e = { .kind = EXIT_HYPERCALL, .length = 3 };

	v->gpr[GPR_RAX] = number;
	v->gpr[GPR_RBX] = rbx;
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RDX] = rdx;
	v->advance = 0;
	exit_dispatch(v, &e);
	assert_int_equal(v->advance, 3);
	return (s64)v->gpr[GPR_RAX];
}

bool guest_wrmsr(struct vcpu *v, u32 msr, u64 value)
{
	struct vmexit e = { .kind = EXIT_WRMSR, .length = 2 };

	fake_of(v)->exception = -1;
	v->gpr[GPR_RCX] = msr;
	v->gpr[GPR_RAX] = (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	v->advance = 0;
	exit_dispatch(v, &e);
	return fake_of(v)->exception != VEC_GP;
}

u64 guest_rdmsr(struct vcpu *v, u32 msr)
{
	struct vmexit e = { .kind = EXIT_RDMSR, .length = 2 };

	v->gpr[GPR_RCX] = msr;
	exit_dispatch(v, &e);
	return v->gpr[GPR_RDX] << 32 | v->gpr[GPR_RAX];
}

u64 guest_port(struct vcpu *v, u16 port, u8 size, bool in, u64 rax)
{
	struct vmexit e = { .kind = EXIT_IO, .length = 1 };

	e.io.port = port;
	e.io.size = size;
	e.io.in = in;
	v->gpr[GPR_RAX] = rax;
	exit_dispatch(v, &e);
	return v->gpr[GPR_RAX];
}

int guest_load(struct vm *vm, struct image *img, const void *file, size_t size, struct loaded *out)
{
	u8 *copy = malloc(size);
	int err;

	memcpy(copy, file, size);
	img->data = copy;
	img->size = size;
	fake_log_clear();
	err = loader_load(vm, out);
	if (!err)
		do
			err = loader_step(vm);
		while (err == HV_EBUSY);
	free(copy);
	return err;
}

void guest_touch(struct vcpu *v, u64 gfn)
{
	struct vmexit e = { .kind = EXIT_P2M_FAULT };

	e.fault.gpa = GPA(gfn << PAGE_SHIFT);
	e.fault.write = true;
	v->state = VCPU_RUNNING;
	exit_dispatch(v, &e);
}
