/* SPDX-License-Identifier: BSD-2-Clause */
/* "Virtual I/O Device (VIRTIO) Version 1.2": "Block Device": "Device Operation". */
#ifndef HV_DEV_BLK_REQUEST_H
#define HV_DEV_BLK_REQUEST_H

#include <hv/base/types.h>

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct blk_header {
	u32 type, reserved;
	u64 sector;
};

/* What DISCARD and WRITE_ZEROES are about: one range a request. */
struct blk_range {
	u64 sector;
	u32 sectors, flags;
};
#define RANGE_UNMAP BIT(0) /* of WRITE_ZEROES: the blocks may be given up */
#define BLK_RANGE_MAX MIB(32)

#define BLK_REQUEST_MAX MIB(4) /* a driver that asks for more at once gets an error */

#endif
