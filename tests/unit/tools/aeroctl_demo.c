/* SPDX-License-Identifier: BSD-2-Clause */
/* aeroctl with the fixed answers of tests/fake/aeroctl.c, for people and for other tools. */
#include <tests/fake/aeroctl.h>

int main(int argc, char **argv)
{
	fake_hypervisor_init();
	return aeroctl(argc, argv);
}
