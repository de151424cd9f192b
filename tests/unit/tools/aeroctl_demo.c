/* SPDX-License-Identifier: BSD-2-Clause */
/* aeroctl with the canned answers of tests/fake/aeroctl.c: to look at, and for other tools to read. */
#include <tests/fake/aeroctl.h>

int main(int argc, char **argv)
{
	fake_hypervisor_init();
	return aeroctl(argc, argv);
}
