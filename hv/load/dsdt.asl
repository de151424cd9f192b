/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every VM has, and where: the UART, the clock, the power button, the
 * balloon's device, eight virtio-mmio slots.  ACPI_MACHINE (hv/load/acpi.h) says which slots are in use.
 */
#define VIRTIO(name, slot, base, gsi) \
		Device (name) { \
			Name (_HID, "LNRO0005") \
			Name (_UID, slot) \
			Name (_CCA, 1) \
			Method (_STA) { Return (ToInteger ((DEVS >> slot) & 1) * 0x0F) } \
			Name (_CRS, ResourceTemplate () { \
				Memory32Fixed (ReadWrite, base, 0x200) \
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { gsi } \
			}) \
		}

DefinitionBlock ("", "DSDT", 2, "AEROST", "AEROSTAT", 1)
{
	Name (_S5, Package () { 5, 0, 0, 0 })

	OperationRegion (MACH, SystemMemory, 0x9F000, 4)
	Field (MACH, DWordAcc, NoLock, Preserve) { DEVS, 32 }

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate () {
				IO (Decode16, 0x3F8, 0x3F8, 0, 8)
				Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 4 }
			})
		}
		Device (RTC0) /* without alarms, and so without an interrupt */
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate () { IO (Decode16, 0x70, 0x70, 0, 2) })
		}
		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C"))
		}
		Device (GED) /* "Generic Event Device": the button's interrupt, VM_POWER_PIN */
		{
			Name (_HID, "ACPI0013")
			Name (_CRS, ResourceTemplate () {
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 9 }
			})
			Method (_EVT, 1, Serialized) { Notify (PWRB, 0x80) }
		}
		Device (PANC) /* "pvpanic": PORT_PANIC */
		{
			Name (_HID, "QEMU0001")
			Name (_CRS, ResourceTemplate () { IO (Decode16, 0x505, 0x505, 1, 1) })
		}
		Device (AERO)
		{
			Name (_HID, "AERO0001")
			Name (_UID, 0)
			Method (_STA) { Return (ToInteger (DEVS >> 31) * 0x0F) }
			Name (_CRS, ResourceTemplate () {
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 5 }
			})
		}
		VIRTIO (VIO0, 0, 0xD0000000, 16)
		VIRTIO (VIO1, 1, 0xD0000200, 17)
		VIRTIO (VIO2, 2, 0xD0000400, 18)
		VIRTIO (VIO3, 3, 0xD0000600, 19)
		VIRTIO (VIO4, 4, 0xD0000800, 20)
		VIRTIO (VIO5, 5, 0xD0000A00, 21)
		VIRTIO (VIO6, 6, 0xD0000C00, 22)
		VIRTIO (VIO7, 7, 0xD0000E00, 23)
	}
}
