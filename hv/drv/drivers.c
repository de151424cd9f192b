/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/log.h>
#include <hv/block/block.h>
#include <hv/drv/ata.h>
#include <hv/drv/drivers.h>
#include <hv/drv/nvme.h>

static const struct {
	u32 class, mask;
	int (*start)(pci_bdf at);
} drivers[] = {
	{ NVME_CLASS, 0xffffff, nvme_start },
	{ ATA_CLASS << 8, 0xffff00, ata_start },
};

void drivers_start(void (*alarm)(u64 tsc))
{
	const struct pci_function *f;

	block_set_alarm(alarm);
	for (u32 i = 0; (f = pci_storage(i)); i++)
		for (u32 k = 0; k < ARRAY_SIZE(drivers); k++)
			if ((f->class & drivers[k].mask) == drivers[k].class)
				drivers[k].start(f->at);
	block_scan();
}
