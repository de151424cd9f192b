/* SPDX-License-Identifier: BSD-2-Clause */
/* ATA disks behind a bus master controller, such as PIIX has: the only disks in Bochs. */
#ifndef HV_DRV_ATA_H
#define HV_DRV_ATA_H

#include <hv/drv/pci.h>

#define ATA_CLASS 0x0101 /* with any programming interface */

/* Brings the disks of both channels to hv/block.  Boot; waits.  HV_ENODEV: it masters no bus. */
int ata_start(pci_bdf at);

/* As before the first one.  Boot. */
void ata_forget(void);

#endif
