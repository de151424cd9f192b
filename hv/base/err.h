/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors inside the hypervisor: negative, each with a name for the log. */
#ifndef HV_BASE_ERR_H
#define HV_BASE_ERR_H

enum hv_err {
	HV_OK = 0,
	HV_EINVAL = -1,	   /* an argument is malformed */
	HV_ERANGE = -2,	   /* outside the VM's memory or an array */
	HV_ENOMEM = -3,	   /* no frame, and none on its way */
	HV_EAGAIN = -4,	   /* a bound was reached or frames are on their way: call again */
	HV_EBUSY = -5,	   /* pinned or in use */
	HV_ESTATE = -6,	   /* the object is not in the state the call needs */
	HV_EPERM = -7,	   /* the caller may not */
	HV_ENOENT = -8,	   /* no such thing */
	HV_ENODEV = -9,	   /* the machine lacks it */
	HV_EFAULT = -10,   /* a guest address that cannot be accessed */
	HV_ENOSYS = -11,   /* no such call */
	HV_ECORRUPT = -12, /* one of our own invariants is broken */
	HV_EIO = -13,	   /* a device could not do it */
};

/* Name of @err ("no memory" ...), never NULL. */
const char *hv_strerror(int err);

#endif
