/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HV_DRV_DRIVERS_H
#define HV_DRV_DRIVERS_H

#include <hv/base/types.h>

/*
 * Starts a driver for each device that has one, and reads what is on the disks.  Boot; waits.
 * @alarm: block_set_alarm().
 */
void drivers_start(void (*alarm)(u64 tsc));

#endif
