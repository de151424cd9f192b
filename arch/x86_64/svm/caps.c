/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The features that SVM must have, the message if one is missing, and the features that we use if
 * they are there. Pure. APM volume 2: "Enabling SVM", volume 3: "Function 8000_000Ah: SVM
 * Features".
 */
#include <arch/x86_64/cpu/regs.h>
#include <arch/x86_64/svm/svm.h>

#define EDX_NESTED_PAGING BIT(0)
#define EDX_NRIP_SAVE BIT(3)
#define EDX_CLEAN_BITS BIT(5)
#define EDX_FLUSH_BY_ASID BIT(6)
#define EDX_DECODE_ASSISTS BIT(7)
#define EDX_PAUSE_FILTER BIT(10)
#define EDX_PAUSE_THRESHOLD BIT(12)

const char *svm_caps_check(const struct svm_cpuid *c, struct svm_caps *caps)
{
	*caps = (struct svm_caps){
		.nr_asids = c->ebx,
		.phys_bits = c->phys_bits,
		.nrip = c->edx & EDX_NRIP_SAVE,
		.decode_assists = c->edx & EDX_DECODE_ASSISTS,
		.clean_bits = c->edx & EDX_CLEAN_BITS,
		.flush_by_asid = c->edx & EDX_FLUSH_BY_ASID,
		.pause_filter = c->edx & EDX_PAUSE_FILTER,
		.pause_threshold = c->edx & EDX_PAUSE_THRESHOLD,
		.fsgsbase = c->seven_ebx & BIT(0),
	};
	if (!c->svm)
		return "this CPU has no SVM, or an outer hypervisor hides it";
	if ((c->vm_cr & (VM_CR_SVMDIS | VM_CR_LOCK)) == (VM_CR_SVMDIS | VM_CR_LOCK))
		return "the firmware has locked SVM off: enable \"SVM Mode\" (AMD-V) in its setup and switch the machine off and on";
	if (!(c->edx & EDX_NESTED_PAGING))
		return "this CPU's SVM lacks nested paging (second-level page tables), and Aerostat needs it; any AMD CPU since 2008 has it";
	if (c->ebx < 2)
		return "this CPU's SVM has no address space identifiers for guests";
	return NULL;
}
