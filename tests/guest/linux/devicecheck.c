/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes calls that /dev/aerostat must refuse; exits with 0 if it does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../../guest-driver/aerostat_abi.h"

static int fd, failed;

static void refuses(const char *what, int expected, struct aero_manage m)
{
	int err = ioctl(fd, AERO_IOC_MANAGE, &m) ? errno : 0;

	if (err == expected)
		return;
	printf("module: WRONG: /dev/aerostat: %s: errno %d, expected %d\n", what, err, expected);
	failed = 1;
}

int main(void)
{
	static struct aero_vm_info vm, before;
	const aero_u64 here = (aero_u64)(unsigned long)&vm;

	fd = open("/dev/aerostat", O_RDWR);
	if (fd < 0) {
		perror("module: WRONG: /dev/aerostat");
		return 1;
	}
	memset(&before, 0x5a, sizeof(before));
	vm = before;
	refuses("a balloon call", EINVAL, (struct aero_manage){ .number = AERO_CALL_LOCK });
	refuses("the number before", EINVAL,
		(struct aero_manage){ .number = AERO_CALL_HOST_INFO - 1 });
	refuses("a number that is not there", EINVAL,
		(struct aero_manage){ .number = AERO_CALL_GUEST_STATS + 1 });
	refuses("one whose low half is a call", EINVAL,
		(struct aero_manage){ .number = 1ull << 32 | AERO_CALL_PAUSE });
	refuses("0", EINVAL, (struct aero_manage){ 0 });
	refuses("an address", EINVAL,
		(struct aero_manage){ .number = AERO_CALL_VM_INFO,
				      .arg = { 0, 0x100000 },
				      .data = here,
				      .size = sizeof(vm) });
	refuses("less than the structure", EINVAL,
		(struct aero_manage){
			.number = AERO_CALL_VM_INFO, .data = here, .size = sizeof(vm) - 1 });
	refuses("more than the structure", EINVAL,
		(struct aero_manage){ .number = AERO_CALL_VM_INFO, .data = here, .size = 4096 });
	refuses("data where there is none", EINVAL,
		(struct aero_manage){ .number = AERO_CALL_PAUSE, .arg = { ~0ull }, .data = here });
	if (memcmp(&vm, &before, sizeof(vm))) {
		printf("module: WRONG: /dev/aerostat: a refused call has written\n");
		failed = 1;
	}
	refuses("a structure in the kernel", EFAULT,
		(struct aero_manage){ .number = AERO_CALL_VM_INFO,
				      .data = 0xffff888000000000,
				      .size = sizeof(vm) });
	refuses("a structure nowhere", EFAULT,
		(struct aero_manage){ .number = AERO_CALL_VM_INFO, .data = 8, .size = sizeof(vm) });
	if (!ioctl(fd, AERO_IOC_MANAGE, 8) || errno != EFAULT || !ioctl(fd, AERO_IOC_PRESSURE, 8) ||
	    errno != EFAULT || !ioctl(fd, 0x5401, 0) || errno != ENOTTY) {
		printf("module: WRONG: /dev/aerostat: a wrong argument\n");
		failed = 1;
	}
	refuses("what is right", 0,
		(struct aero_manage){
			.number = AERO_CALL_VM_INFO, .data = here, .size = sizeof(vm) });
	if (!vm.name[0] || vm.name[0] == 0x5a) {
		printf("module: WRONG: /dev/aerostat: no answer\n");
		failed = 1;
	}
	return failed;
}
