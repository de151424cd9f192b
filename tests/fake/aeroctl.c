/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include <tests/fake/aeroctl.h>

#define MIB(n) ((n)*256ull)

struct fake_hypervisor fake_hypervisor;

void fake_hypervisor_init(void)
{
	struct fake_hypervisor *f = &fake_hypervisor;

	*f = (struct fake_hypervisor){ .own = -1 };
	f->s.nr = 3;
	f->s.host = (struct aero_host_info){
		.time_us = 3723456789,
		.total = MIB(1080),
		.free = MIB(100) + 128,
		.clean = MIB(50),
		.quarantine = 3,
		.state = 1,
		.nr_vms = 3,
		.active = MIB(300),
		.hypervisor = MIB(2),
		.tables = 600,
		.promised = MIB(12),
		.tax = 75,
		.version = 0x200010003, /* 2.1.3 */
	};
	f->s.vm[0] = (struct aero_vm_info){
		.name = "web",
		.id = 0,
		.state = AERO_VM_RUNNING,
		.vcpus = 2,
		.memory = MIB(512),
		.min = MIB(64),
		.max = MIB(512),
		.shares = 2000,
		.resident = MIB(300),
		.balloon = MIB(150),
		.target = MIB(180),
		.active = MIB(120),
		.faults = 81234,
		.popped = 3,
		.locked = MIB(200),
		.unlocked = MIB(50),
		.run_us = 61000000,
		.starts = 1,
		.entitlement = MIB(290),
		.rho = 43333,
		.disk = MIB(7),
		.active_low = 310,
		.active_high = 480,
		.reason = AERO_REASON_VICTIM,
		.rule = AERO_RULE_SHARES,
		.flags = AERO_VM_FLAG_DRIVER | AERO_VM_FLAG_CONTROL,
	};
	f->s.vm[1] = (struct aero_vm_info){
		.name = "db",
		.id = 1,
		.state = AERO_VM_PAUSED,
		.vcpus = 1,
		.memory = MIB(1024),
		.min = MIB(128),
		.max = MIB(900),
		.shares = 1000,
		.resident = MIB(600),
		.target = MIB(256),
		.balloon = MIB(256),
		.active = MIB(400),
		.run_us = 1500000,
		.starts = 2,
		.flags = AERO_VM_FLAG_DRIVER | AERO_VM_FLAG_MANUAL,
		.reason = AERO_REASON_MANUAL,
		.rule = AERO_RULE_HELD,
		.active_high = 1000,
	};
	f->s.vm[2] = (struct aero_vm_info){ .name = "batch",
					    .id = 2,
					    .state = AERO_VM_ENDED,
					    .exit_status = 7,
					    .vcpus = 1,
					    .memory = MIB(64),
					    .max = MIB(64),
					    .shares = 1000,
					    .starts = 1 };
	f->s.guest[0] = (struct aero_stats){ .total = MIB(500),
					     .available = MIB(90),
					     .stall_some = 1234567 };
	f->explain[0] = (struct aero_explain){
		.total = 12,
		.nr = 2,
		.decision = { { .first_us = 1000000,
				.last_us = 2500000,
				.to = MIB(100),
				.entitlement = MIB(400),
				.rho = 999,
				.resident = MIB(412),
				.steps = 4,
				.active = 405,
				.state = 2,
				.reason = AERO_REASON_VICTIM },
			      { .first_us = 9000000,
				.last_us = 9000000,
				.from = MIB(100),
				.to = MIB(180),
				.entitlement = MIB(290),
				.rho = 43333,
				.resident = MIB(380),
				.steps = 1,
				.active = 333,
				.state = 1,
				.reason = AERO_REASON_VICTIM,
				.rule = AERO_RULE_MIN } },
	};
}

/* Calls whose answer is a structure. */
static int give(struct aero_manage *m, const void *data, size_t size)
{
	if (m->size != size)
		return EINVAL; /* as the driver */
	memcpy((void *)(uintptr_t)m->data, data, size);
	m->status = AERO_OK;
	return 0;
}

static int look(struct aero_manage *m, uint64_t id)
{
	struct fake_hypervisor *f = &fake_hypervisor;

	if (id >= f->s.host.nr_vms) {
		m->status = (uint64_t)AERO_ERR_NOENT;
		return 0;
	}
	switch (m->number) {
	case AERO_CALL_VM_INFO:
		return give(m, &f->s.vm[id], sizeof(f->s.vm[0]));
	case AERO_CALL_GUEST_STATS:
		return give(m, &f->s.guest[id], sizeof(f->s.guest[0]));
	default:
		return give(m, &f->explain[id], sizeof(f->explain[0]));
	}
}

static int change(struct aero_manage *m)
{
	struct fake_hypervisor *f = &fake_hypervisor;

	if (m->data || m->size)
		return EINVAL;
	f->last = *m;
	f->calls++;
	m->status = (uint64_t)f->refuse;
	if (m->number == AERO_CALL_AUDIT && f->again) {
		f->again--;
		m->status = AERO_AGAIN;
	}
	if (m->number == AERO_CALL_RESTART && f->ending) {
		f->ending--;
		m->status = (uint64_t)AERO_ERR_STATE;
	}
	m->result = m->number == AERO_CALL_AUDIT ? 4321 : 0;
	return 0;
}

int device_manage(struct aero_manage *m)
{
	struct fake_hypervisor *f = &fake_hypervisor;

	if (f->error)
		return f->error;
	switch (m->number) {
	case AERO_CALL_HOST_INFO:
		/* Time goes on, and the VM that runs has faults. */
		f->s.host.time_us += 2000000;
		f->s.vm[0].faults += 500;
		f->s.vm[0].run_us += 1000000;
		return give(m, &f->s.host, sizeof(f->s.host));
	case AERO_CALL_VM_INFO:
	case AERO_CALL_GUEST_STATS:
	case AERO_CALL_EXPLAIN:
		return look(m, m->arg[0]);
	default:
		return change(m);
	}
}

int device_own_vm(void)
{
	return fake_hypervisor.own;
}

int device_pressure(const struct aero_pressure *p)
{
	fake_hypervisor.pressure = *p;
	return fake_hypervisor.error;
}
