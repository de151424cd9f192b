/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "aeroctl.h"

#define DEVICE "/dev/aerostat"

static int device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	return fd;
}

static int device_ioctl(unsigned long request, const void *argument)
{
	if (device() < 0 || ioctl(device(), request, argument))
		return errno;
	return 0;
}

int device_manage(struct aero_manage *m)
{
	return device_ioctl(AERO_IOC_MANAGE, m);
}

int device_pressure(const struct aero_pressure *p)
{
	return device_ioctl(AERO_IOC_PRESSURE, p);
}
