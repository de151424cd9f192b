/* SPDX-License-Identifier: BSD-2-Clause */
/* The program's start, apart from the rest so that tests have their own. */
#include "aeroctl.h"

int main(int argc, char **argv)
{
	return aeroctl(argc, argv);
}
