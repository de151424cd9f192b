/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM: "Machine-Check Architecture". QEMU's monitor raises one in an idle CPU: tests/run/screen. */
#include <arch/x86_64/cpu/asm.h>
#include <arch/x86_64/quirks/mce.h>
#include <hv/base/log.h>
#include <hv/base/platform.h>
#include <mm/frame.h>

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MC_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank) (0x402 + 4 * (bank))
#define MC_VALID BIT(63)
#define MC_UNCORRECTED BIT(61)
#define MC_ADDRESS_VALID BIT(58)
#define MC_CONTEXT_CORRUPT BIT(57)

static bool report_bank(u32 bank, bool may_lock)
{
	u64 status, addr = 0;

	if (!rdmsr_safe(MSR_MC_STATUS(bank), &status) || !(status & MC_VALID))
		return false;
	if (status & MC_ADDRESS_VALID)
		rdmsr_safe(MSR_MC_ADDR(bank), &addr);
	log_line("cpu %u: machine check, bank %u: status %lx, address %lx", plat_cpu(), bank,
		 status, addr);
	if (may_lock && status & MC_UNCORRECTED && status & MC_ADDRESS_VALID)
		frame_poison((u32)(addr >> PAGE_SHIFT));
	wrmsr_safe(MSR_MC_STATUS(bank), 0);
	return status & MC_CONTEXT_CORRUPT;
}

void mce_report(bool may_lock)
{
	bool corrupt = false;
	u64 cap;

	if (!rdmsr_safe(MSR_MCG_CAP, &cap))
		return;
	for (u32 bank = 0; bank < (cap & 0xff); bank++)
		corrupt |= report_bank(bank, may_lock);
	if (corrupt && may_lock)
		plat_panic("machine check: the CPU's state is lost");
	wrmsr_safe(MSR_MCG_STATUS, 0); /* a second machine check would shut the CPU down */
}
