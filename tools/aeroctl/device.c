/* SPDX-License-Identifier: BSD-2-Clause */
#include <cpuid.h>
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

int device_own_vm(void)
{
	unsigned int a, b, c, d;

	__cpuid(AERO_CPUID_BASE, a, b, c, d);
	if (b != AERO_SIGNATURE_EBX || c != AERO_SIGNATURE_ECX || d != AERO_SIGNATURE_EDX)
		return -1;
	__cpuid(AERO_CPUID_VM, a, b, c, d);
	return (int)a;
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
