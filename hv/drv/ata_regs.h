/* SPDX-License-Identifier: BSD-2-Clause */
/* ATA/ATAPI Command Set - 3 (ACS-3), and "Programming Interface for Bus Master IDE Controller" 1.0. */
#ifndef HV_DRV_ATA_REGS_H
#define HV_DRV_ATA_REGS_H

#include <hv/base/types.h>

/* Command block, from its first port on, and the one register of the control block. */
enum {
	ATA_DATA = 0,
	ATA_COUNT = 2,
	ATA_LBA_LOW = 3,
	ATA_LBA_MID = 4,
	ATA_LBA_HIGH = 5,
	ATA_DEVICE = 6,
	ATA_STATUS = 7, /* read; a command is written there */
};
#define ATA_DEVICE_LBA 0xe0 /* and the two bits that were always set */
#define ATA_DEVICE_1 BIT(4)
#define ATA_ERR BIT(0)
#define ATA_DRQ BIT(3)
#define ATA_DF BIT(5)
#define ATA_BSY BIT(7)
#define ATA_CONTROL_NIEN BIT(1)
#define ATA_CONTROL_SRST BIT(2)

enum {
	ATA_READ_DMA = 0xc8,
	ATA_READ_DMA_EXT = 0x25,
	ATA_WRITE_DMA = 0xca,
	ATA_WRITE_DMA_EXT = 0x35,
	ATA_FLUSH_CACHE = 0xe7,
	ATA_FLUSH_CACHE_EXT = 0xea,
	ATA_IDENTIFY = 0xec,
};

/* "IDENTIFY DEVICE data", by word */
enum {
	ID_SERIAL = 10,
	ID_MODEL = 27,
	ID_CAPABILITIES = 49,
	ID_SECTORS28 = 60,
	ID_COMMANDS_SUPPORTED = 83,
	ID_COMMANDS_ENABLED = 85,
	ID_SECTORS48 = 100,
	ID_SECTOR_SIZE = 106,
	ID_WORDS_A_SECTOR = 117,
};
#define ID_DMA BIT(8)		 /* ID_CAPABILITIES */
#define ID_LBA BIT(9)		 /* the same */
#define ID_LBA48 BIT(10)	 /* ID_COMMANDS_SUPPORTED */
#define ID_WRITE_CACHE BIT(5)	 /* ID_COMMANDS_ENABLED */
#define ID_LARGE_SECTORS BIT(12) /* ID_SECTOR_SIZE, valid if its bits 15:14 are 01 */

/* Bus master, from a channel's first port on. */
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_PRDT = 4 };
#define BM_START BIT(0)
#define BM_TO_MEMORY BIT(3)
#define BM_ACTIVE BIT(0)
#define BM_ERROR BIT(1)
#define BM_INTERRUPT BIT(2)

/* "Physical Region Descriptor" */
struct ata_prd {
	u32 address; /* below 4 GiB */
	u16 bytes;
	u16 flags;
};
#define PRD_LAST BIT(15)

#endif
