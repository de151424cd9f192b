/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of a VM. "ACPI Specification 6.3", hardware-reduced. */
#ifndef HV_LOAD_ACPI_H
#define HV_LOAD_ACPI_H

#include <hv/base/types.h>

struct vm;

/* Where they are in the VM's memory, the RSDP first; up to 640 KiB. */
#define ACPI_TABLES 0x90000UL

/* What dsdt.asl reads to know what this VM has; its address is also written there. */
#define ACPI_MACHINE 0x9f000UL
#define ACPI_HAS_BALLOON BIT(31) /* our own device */
struct acpi_machine {
	u32 devices; /* bit per virtio slot in use; ACPI_HAS_BALLOON */
};

/* Writes them. HV_ENOMEM, HV_EAGAIN. */
int acpi_load(struct vm *vm);

#endif
