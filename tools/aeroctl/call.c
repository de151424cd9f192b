/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls, and what their errors mean to who made them. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "aeroctl.h"

int wrong(enum status status, const char *fmt, ...)
{
	va_list ap;

	fputs("aeroctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return (int)status;
}

/* The way to the hypervisor is barred; who could open it, and how. */
int no_device(int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		if (device_own_vm() < 0)
			return wrong(NO_DEVICE, "this is no VM of Aerostat; aeroctl runs in one "
						"that has \"control = yes\" in aerostat.conf");
		return wrong(NO_DEVICE, "no /dev/aerostat: load the driver, \"modprobe aerostat\"");
	case EACCES:
	case EPERM:
		return wrong(NO_DEVICE, "/dev/aerostat: permission denied; become root");
	case EINVAL:
	case ENOTTY:
		return wrong(NO_DEVICE, "the driver does not know this call; load the aerostat.ko "
					"that belongs to this aeroctl");
	default:
		return wrong(NO_DEVICE, "/dev/aerostat: %s", strerror(error));
	}
}

int refused(const char *what, int64_t answer)
{
	switch (answer) {
	case AERO_ERR_PERM:
		return wrong(NO_DEVICE,
			     "this VM may not manage others: write \"control = yes\" into "
			     "its section of aerostat.conf, and boot the host again");
	case AERO_ERR_NOSYS:
		return wrong(NO_DEVICE,
			     "%s: the hypervisor is older than this aeroctl, and does not "
			     "know this call",
			     what);
	case AERO_ERR_NOENT:
		return wrong(NO_VM, "%s: there is no such VM; \"aeroctl list\" lists them", what);
	case AERO_ERR_STATE:
		return wrong(FAILED, "%s: not in its present state; \"aeroctl list\" shows it",
			     what);
	case AERO_ERR_INVALID:
		return wrong(FAILED, "%s: the hypervisor refuses this value", what);
	case AERO_ERR_CORRUPT:
		return wrong(CORRUPT,
			     "%s: a frame has not the owner that it should; the host's log "
			     "says which one; please report it",
			     what);
	default:
		return wrong(FAILED, "%s: error %lld", what, (long long)answer);
	}
}

int call_raw(struct aero_manage m, void *data, size_t size, int64_t *answer, uint64_t *result)
{
	int error;

	m.data = (uintptr_t)data;
	m.size = size;
	error = device_manage(&m);
	if (error)
		return no_device(error);
	*answer = (int64_t)m.status;
	if (result)
		*result = m.result;
	return DONE;
}

int call(const char *what, struct aero_manage m, void *data, size_t size, uint64_t *result)
{
	int64_t answer = 0;
	int err = call_raw(m, data, size, &answer, result);

	if (err)
		return err;
	return answer ? refused(what, answer) : DONE;
}

static int vm_info(unsigned int id, struct aero_vm_info *vm)
{
	int err = call("list", (struct aero_manage){ .number = AERO_CALL_VM_INFO, .arg = { id } },
		       vm, sizeof(*vm), NULL);

	vm->name[AERO_NAME_MAX - 1] = 0;
	return err;
}

static int host_info(struct aero_host_info *h)
{
	return call("list", (struct aero_manage){ .number = AERO_CALL_HOST_INFO }, h, sizeof(*h),
		    NULL);
}

static unsigned int nr_vms(const struct aero_host_info *h)
{
	return h->nr_vms < MAX_VMS ? h->nr_vms : MAX_VMS;
}

int take_snapshot(struct snapshot *s)
{
	int err;

	memset(s, 0, sizeof(*s));
	err = host_info(&s->host);
	for (; !err && s->nr < nr_vms(&s->host); s->nr++) {
		err = vm_info(s->nr, &s->vm[s->nr]);
		if (!err)
			err = call("list",
				   (struct aero_manage){ .number = AERO_CALL_GUEST_STATS,
							 .arg = { s->nr } },
				   &s->guest[s->nr], sizeof(s->guest[0]), NULL);
	}
	return err;
}

int take_explain(const struct aero_vm_info *vm, struct aero_explain *e)
{
	int err = call(vm->name,
		       (struct aero_manage){ .number = AERO_CALL_EXPLAIN, .arg = { vm->id } }, e,
		       sizeof(*e), NULL);

	if (e->nr > AERO_DECISIONS)
		e->nr = AERO_DECISIONS;
	return err;
}

int find_vm(const char *name, struct aero_vm_info *vm)
{
	struct aero_host_info h = { 0 };
	uint64_t id;
	int err = host_info(&h);

	for (unsigned int i = 0; !err && i < nr_vms(&h); i++) {
		err = vm_info(i, vm);
		if (!err && !strcmp(vm->name, name))
			return DONE;
	}
	if (err)
		return err;
	if (parse_number(name, 0, h.nr_vms ? h.nr_vms - 1 : 0, &id))
		return vm_info((unsigned int)id, vm);
	return wrong(NO_VM, "there is no VM \"%s\"; \"aeroctl list\" lists them", name);
}
