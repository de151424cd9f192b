/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts another kernel in place of the running one, without the firmware (man 2 kexec_file_load):
 *
 *   kexec next KERNEL INITRD CMDLINE    which one it will be
 *   kexec crash KERNEL INITRD CMDLINE   the same after a panic, in the memory of crashkernel=
 *   kexec go                            starts the next one, once the devices are shut down
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(char **argument, unsigned long flags)
{
	int kernel = open(argument[0], O_RDONLY), initrd = open(argument[1], O_RDONLY);

	if (kernel < 0 || initrd < 0 ||
	    syscall(SYS_kexec_file_load, kernel, initrd, strlen(argument[2]) + 1, argument[2],
		    flags)) {
		perror("kexec: load");
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "next"))
		return load(argv + 2, 0);
	if (argc == 5 && !strcmp(argv[1], "crash"))
		return load(argv + 2, KEXEC_FILE_ON_CRASH);
	if (argc == 2 && !strcmp(argv[1], "go")) {
		sync();
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		perror("kexec: go");
		return 1;
	}
	fprintf(stderr, "usage: kexec next|crash KERNEL INITRD CMDLINE, or kexec go\n");
	return 2;
}
