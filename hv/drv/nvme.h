/* SPDX-License-Identifier: BSD-2-Clause */
/* NVM Express controllers.  "NVM Express Base Specification", revision 1.4. */
#ifndef HV_DRV_NVME_H
#define HV_DRV_NVME_H

#include <hv/drv/pci.h>

#define NVME_CLASS 0x010802

/* Brings the controller up and its namespaces to hv/block.  Boot; waits.  HV_ENODEV: it does not work. */
int nvme_start(pci_bdf at);

/* As before the first one.  Boot. */
void nvme_forget(void);

#endif
