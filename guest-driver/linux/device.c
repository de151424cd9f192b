/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * /dev/aerostat, for aeroctl: management calls with a bounce buffer, and figures on memory that
 * user space has and modules have not. It passes on no address, and only calls of the table; the
 * hypervisor decides whether this VM may make them.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "aerostat.h"

#define NO_DATA 3

static const struct {
	u16 size; /* bytes of the structure that the hypervisor writes */
	u8 place; /* place of its address among the arguments, or NO_DATA */
} calls[] = {
#define ROW(number, bytes, where) [(number)-AERO_CALL_HOST_INFO] = { bytes, where }
	ROW(AERO_CALL_HOST_INFO, sizeof(struct aero_host_info), 0),
	ROW(AERO_CALL_VM_INFO, sizeof(struct aero_vm_info), 1),
	ROW(AERO_CALL_SET_TARGET, 0, NO_DATA),
	ROW(AERO_CALL_AUDIT, 0, NO_DATA),
	ROW(AERO_CALL_PAUSE, 0, NO_DATA),
	ROW(AERO_CALL_RESUME, 0, NO_DATA),
	ROW(AERO_CALL_STOP, 0, NO_DATA),
	ROW(AERO_CALL_RESTART, 0, NO_DATA),
	ROW(AERO_CALL_SET, 0, NO_DATA),
	ROW(AERO_CALL_SHUTDOWN, 0, NO_DATA),
	ROW(AERO_CALL_EXPLAIN, sizeof(struct aero_explain), 1),
	ROW(AERO_CALL_GUEST_STATS, sizeof(struct aero_stats), 1),
#undef ROW
};

/* The device for pressure(): there is one, and it may be unbound while a file is open. */
static DEFINE_MUTEX(owner_lock);
static struct aerostat *owner;

static bool well_formed(const struct aero_manage *m)
{
	u64 i = m->number - AERO_CALL_HOST_INFO;

	if (i >= ARRAY_SIZE(calls) || m->size != calls[i].size)
		return false;
	return calls[i].place == NO_DATA ? !m->data : !m->arg[calls[i].place];
}

static long manage(struct aero_manage __user *argument)
{
	struct aero_manage m;
	struct aero_result r;
	void *bounce = NULL;
	long err = 0;
	u8 place;

	if (copy_from_user(&m, argument, sizeof(m)))
		return -EFAULT;
	if (!well_formed(&m))
		return -EINVAL;
	place = calls[array_index_nospec(m.number - AERO_CALL_HOST_INFO, ARRAY_SIZE(calls))].place;
	if (m.size) { /* contiguous for the hypervisor; the table has its size */
		bounce = kzalloc(m.size, GFP_KERNEL);
		if (!bounce)
			return -ENOMEM;
		m.arg[place] = virt_to_phys(bounce);
	}
	aerostat_call(m.number, m.arg[0], m.arg[1], m.arg[2], &r);
	m.status = r.status;
	m.result = r.status == AERO_ERR_PERM || r.status == AERO_ERR_NOSYS ? 0 : r.value;
	if (bounce)
		m.arg[place] = 0;
	if (bounce && !r.status && copy_to_user(u64_to_user_ptr(m.data), bounce, m.size))
		err = -EFAULT;
	kfree(bounce);
	if (copy_to_user(argument, &m, sizeof(m)))
		err = -EFAULT;
	return err;
}

static long pressure(const struct aero_pressure __user *argument)
{
	struct aero_pressure p;
	long err = -ENODEV;

	if (copy_from_user(&p, argument, sizeof(p)))
		return -EFAULT;
	mutex_lock(&owner_lock);
	if (owner) {
		mutex_lock(&owner->lock);
		owner->pressure = p;
		owner->pressure_until = jiffies + AEROSTAT_PRESSURE_LIFE;
		mutex_unlock(&owner->lock);
		err = 0;
	}
	mutex_unlock(&owner_lock);
	return err;
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	switch (command) {
	case AERO_IOC_MANAGE:
		return manage((void __user *)argument);
	case AERO_IOC_PRESSURE:
		return pressure((const void __user *)argument);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = device_ioctl,
	.llseek = no_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "aerostat",
	.fops = &device_operations,
	.mode = 0600,
};

void aerostat_device_start(struct aerostat *a)
{
	int err = misc_register(&device);

	if (err) { /* the balloon works without it */
		dev_warn(a->dev, "no /dev/aerostat: error %d\n", err);
		return;
	}
	mutex_lock(&owner_lock);
	owner = a;
	mutex_unlock(&owner_lock);
}

void aerostat_device_stop(struct aerostat *a)
{
	mutex_lock(&owner_lock);
	if (owner != a) {
		mutex_unlock(&owner_lock);
		return;
	}
	owner = NULL;
	mutex_unlock(&owner_lock);
	misc_deregister(&device);
}
