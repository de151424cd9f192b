/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The models are those of Linux's tables of CPU vulnerabilities that have VT-x, EPT and
 * unrestricted guest.
 */
#include <arch/x86_64/quirks/vulns.h>

#define NO_L1TF 1
#define NO_MDS 2
#define NO_ITLB 4
#define HAS_RFDS 8 /* register file data sampling */

static const struct {
	u8 model; /* of Intel's family 6 */
	u8 flags;
} models[] = {
	{ 0x37, NO_L1TF | NO_ITLB },			 /* Silvermont */
	{ 0x4a, NO_L1TF | NO_ITLB },			 /* */
	{ 0x4d, NO_L1TF | NO_ITLB },			 /* */
	{ 0x4c, NO_L1TF | NO_ITLB },			 /* Airmont */
	{ 0x5a, NO_L1TF | NO_ITLB },			 /* */
	{ 0x75, NO_L1TF | NO_ITLB },			 /* */
	{ 0x57, NO_L1TF | NO_ITLB },			 /* Xeon Phi */
	{ 0x85, NO_L1TF | NO_ITLB },			 /* */
	{ 0x5c, NO_L1TF | NO_MDS | NO_ITLB | HAS_RFDS }, /* Goldmont */
	{ 0x5f, NO_L1TF | NO_MDS | NO_ITLB | HAS_RFDS }, /* */
	{ 0x7a, NO_L1TF | NO_MDS | NO_ITLB | HAS_RFDS }, /* Goldmont Plus */
	{ 0x86, NO_ITLB | HAS_RFDS },			 /* Tremont */
	{ 0x96, HAS_RFDS },				 /* */
	{ 0x9c, HAS_RFDS },				 /* */
	{ 0x97, HAS_RFDS },				 /* Alder Lake, Raptor Lake, Gracemont */
	{ 0x9a, HAS_RFDS },				 /* */
	{ 0xb7, HAS_RFDS },				 /* */
	{ 0xba, HAS_RFDS },				 /* */
	{ 0xbf, HAS_RFDS },				 /* */
	{ 0xbe, HAS_RFDS },				 /* */
};

static u8 model_flags(const struct cpu_id *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		if (models[i].model == c->model)
			return models[i].flags;
	return 0;
}

static bool has_l1tf(const struct cpu_id *c)
{
	return c->intel && !(c->arch_caps & ARCH_CAP_RDCL_NO) && !(model_flags(c) & NO_L1TF);
}

static bool has_itlb_multihit(const struct cpu_id *c)
{
	return c->intel && !(c->arch_caps & ARCH_CAP_PSCHANGE_MC_NO) && !(model_flags(c) & NO_ITLB);
}

/* MDS, TAA and RFDS; and AMD's TSA, on Zen 3 and 4. One instruction clears them all. */
static bool leaks_buffers(const struct cpu_id *c)
{
	u64 caps = c->arch_caps;

	if (c->amd)
		return c->family == 0x19 && (c->ext21_ecx & EXT21_ECX_TSA_NO) != EXT21_ECX_TSA_NO;
	if (!c->intel)
		return false;
	if (!(caps & ARCH_CAP_MDS_NO) && !(model_flags(c) & NO_MDS))
		return true;
	if (!(caps & ARCH_CAP_TAA_NO) && (c->seven_ebx & BIT(11) || caps & ARCH_CAP_TSX_CTRL))
		return true;
	return !(caps & ARCH_CAP_RFDS_NO) &&
	       (caps & ARCH_CAP_RFDS_CLEAR || model_flags(c) & HAS_RFDS);
}

static bool verw_clears(const struct cpu_id *c)
{
	return c->seven_edx & SEVEN_EDX_MD_CLEAR || c->arch_caps & ARCH_CAP_RFDS_CLEAR ||
	       c->ext21_eax & EXT21_EAX_VERW_CLEAR;
}

/*
 * The flush comes before every entry, not only after exits that touched another VM's memory: in
 * each exit handler a guest may make us load, speculatively, any memory of the direct map, and we
 * cannot prove of any kind of exit that this is impossible.
 */
static void decide_l1tf(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m)
{
	bool has = has_l1tf(c);

	m->l1tf = "not affected";
	if (mode == MITIGATE_FORCE) {
		m->l1tf = "L1D flushed before guest entries (forced)";
	} else if (!has) {
		return;
	} else if (mode == MITIGATE_OFF) {
		m->l1tf = "AFFECTED and left open, by mitigations=off";
		return;
	} else if (c->arch_caps & ARCH_CAP_SKIP_L1DFL) {
		m->l1tf = "the outer hypervisor flushes the L1D";
		return;
	} else {
		m->l1tf = "L1D flushed before guest entries";
	}
	m->l1d_flush = c->seven_edx & SEVEN_EDX_L1D_FLUSH;
	m->l1d_displace = !m->l1d_flush;
	m->smt_open |= has && c->smt;
	if (m->l1d_displace && mode == MITIGATE_FORCE)
		m->l1tf = "64 KiB read before guest entries (forced)";
	else if (m->l1d_displace)
		m->l1tf =
			"no microcode support: 64 KiB read before guest entries instead; update the firmware";
}

static void decide_buffers(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m)
{
	bool has = leaks_buffers(c);

	m->buffers = "not affected";
	if (mode == MITIGATE_FORCE) {
		m->buffers = "VERW before guest entries and idle (forced)";
	} else if (!has) {
		return;
	} else if (mode == MITIGATE_OFF) {
		m->buffers = "AFFECTED and left open, by mitigations=off";
		return;
	} else if (verw_clears(c)) {
		m->buffers = "VERW before guest entries and idle";
	} else { /* use VERW anyway: an outer hypervisor may hide the bit */
		m->buffers =
			"AFFECTED, no microcode support: VERW may do nothing; update the firmware";
	}
	m->verw = true;
	m->smt_open |= has && c->smt && c->intel;
}

static void decide_itlb(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m)
{
	m->itlb = "not affected";
	if (mode != MITIGATE_FORCE && !has_itlb_multihit(c))
		return;
	m->no_exec_large = mode != MITIGATE_OFF;
	m->itlb = mode == MITIGATE_OFF ? "AFFECTED and left open, by mitigations=off" :
					 "large pages not executable, split where code is run";
}

/*
 * Between host and guest: enhanced (or automatic) IBRS keeps guests from steering our branches;
 * without it retpolines do; CPUs that share branch history in spite of IBRS get both. Returns: we
 * fill the return stack buffer after exits if a return of ours might use a guest's entry. Between
 * guests: a barrier when a CPU changes to another VM.
 */
static void decide_spectre(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m)
{
	bool eibrs = c->arch_caps & ARCH_CAP_IBRS_ALL && c->seven_edx & SEVEN_EDX_SPEC_CTRL;
	bool auto_ibrs = c->ext21_eax & EXT21_EAX_AUTO_IBRS, kept_apart = eibrs || auto_ibrs;
	bool history = eibrs && !(c->arch_caps & ARCH_CAP_BHI_NO);
	bool history_control = c->seven2_edx & BIT(4); /* BHI_CTRL */

	if (mode == MITIGATE_OFF)
		return;
	m->has_ibpb = c->seven_edx & SEVEN_EDX_SPEC_CTRL || c->ext8_ebx & EXT8_EBX_IBPB;
	m->has_spec_ctrl =
		c->seven_edx & (SEVEN_EDX_SPEC_CTRL | SEVEN_EDX_STIBP | SEVEN_EDX_SSBD) ||
		c->ext8_ebx & (EXT8_EBX_IBRS | EXT8_EBX_STIBP | EXT8_EBX_SSBD);
	m->has_flush_cmd = c->seven_edx & SEVEN_EDX_L1D_FLUSH;
	m->auto_ibrs = auto_ibrs;
	if (eibrs)
		m->host_spec_ctrl = (u32)SPEC_CTRL_IBRS;
	if (history && history_control)
		m->host_spec_ctrl |= (u32)SPEC_CTRL_BHI_DIS_S;
	m->thunks = !kept_apart || (history && !history_control) || mode == MITIGATE_FORCE;
	m->fill_rsb = !kept_apart || (eibrs && !(c->arch_caps & ARCH_CAP_PBRSB_NO)) ||
		      mode == MITIGATE_FORCE;
}

void vulns_decide(const struct cpu_id *c, enum mitigate_mode mode, struct mitigations *m)
{
	*m = (struct mitigations){ .off = mode == MITIGATE_OFF };
	decide_l1tf(c, mode, m);
	decide_buffers(c, mode, m);
	decide_itlb(c, mode, m);
	decide_spectre(c, mode, m);
}
