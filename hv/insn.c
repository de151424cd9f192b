/* SPDX-License-Identifier: BSD-2-Clause */
#include <hv/base/err.h>
#include <hv/gwalk.h>
#include <hv/insn.h>
#include <hv/vm.h>

struct cursor {
	const u8 *p;
	size_t left;
	bool overrun;
};

static u8 next(struct cursor *c)
{
	if (!c->left) {
		c->overrun = true;
		return 0;
	}
	c->left--;
	return *c->p++;
}

static u64 next_le(struct cursor *c, u32 bytes)
{
	u64 v = 0;

	for (u32 i = 0; i < bytes; i++)
		v |= (u64)next(c) << (i * 8);
	return v;
}

/* Skips ModRM's addressing form; returns the reg field. HV_EINVAL for register forms. */
static int modrm(struct cursor *c, enum insn_mode mode, bool address_override, u8 *reg)
{
	u8 m = next(c), mod = m >> 6, rm = m & 7;
	bool a16 = mode == INSN_16 ? !address_override : mode == INSN_32 && address_override;
	u32 disp = 0;

	*reg = m >> 3 & 7;
	if (mod == 3)
		return HV_EINVAL;
	if (a16) {
		disp = mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 6) ? 2 : 0;
	} else {
		if (rm == 4) {
			u8 sib = next(c);

			if (mod == 0 && (sib & 7) == 5)
				disp = 4;
		}
		if (mod == 0 && rm == 5)
			disp = 4;
		if (mod)
			disp = mod == 1 ? 1 : 4;
	}
	next_le(c, disp);
	return HV_OK;
}

struct prefixes {
	bool operand, address;
	u8 rex;
};

static u8 read_prefixes(struct cursor *c, enum insn_mode mode, struct prefixes *p)
{
	for (;;) {
		u8 b = next(c);

		switch (b) {
		case 0x66:
			p->operand = true;
			p->rex = 0;
			break;
		case 0x67:
			p->address = true;
			p->rex = 0;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
			p->rex = 0;
			break;
		case 0x40 ... 0x4f:
			if (mode != INSN_64)
				return b;
			p->rex = b;
			break;
		default:
			return b;
		}
		if (c->overrun)
			return 0;
	}
}

int insn_decode(const u8 *bytes, size_t len, enum insn_mode mode, struct insn *out)
{
	size_t most = min(len, (size_t)INSN_MAX);
	struct cursor c = { bytes, most, false };
	struct prefixes p = { 0 };
	u8 op = read_prefixes(&c, mode, &p), reg = 0;
	int err = HV_OK;

	*out = (struct insn){ 0 };
	out->size = p.rex & 8 ? 8 : p.operand != (mode == INSN_16) ? 2 : 4;
	switch (op) {
	case 0x88: /* mov r8 -> m */
	case 0x89: /* mov r -> m */
	case 0x8a:
	case 0x8b:
		err = modrm(&c, mode, p.address, &reg);
		out->write = op < 0x8a;
		if (!(op & 1))
			out->size = 1;
		break;
	case 0xc6: /* mov imm8 -> m */
	case 0xc7:
		err = modrm(&c, mode, p.address, &reg);
		if (reg)
			err = HV_EINVAL;
		out->write = out->has_immediate = true;
		if (op == 0xc6)
			out->size = 1;
		out->immediate = next_le(&c, min(out->size, (u8)4));
		if (out->size == 8)
			out->immediate = (u64)(s64)(s32)out->immediate;
		break;
	case 0xa1: /* mov moffs -> eax */
	case 0xa3:
		next_le(&c, mode == INSN_64		   ? (p.address ? 4 : 8) :
			    (mode == INSN_32) != p.address ? 4 :
							     2);
		out->write = op == 0xa3;
		break;
	default:
		err = HV_EINVAL;
	}
	if (c.overrun)
		return HV_EFAULT;
	out->reg = (u8)(reg | (p.rex & 4 ? 8 : 0));
	out->length = (u8)(c.p - bytes);
	return err;
}

#define SEG_LONG BIT(13)
#define SEG_BIG BIT(14)

int insn_fetch_decode(struct vcpu *v, struct insn *out)
{
	struct guest_state s;
	u8 bytes[INSN_MAX];
	enum insn_mode mode;
	size_t n;

	backend->get_state(v, &s);
	if (s.efer & BIT(10) && s.seg[SEG_CS].attr & SEG_LONG)
		mode = INSN_64;
	else
		mode = s.seg[SEG_CS].attr & SEG_BIG ? INSN_32 : INSN_16;
	n = gwalk_fetch(v, &s, mode == INSN_64 ? s.rip : (u32)(s.seg[SEG_CS].base + s.rip), bytes,
			sizeof(bytes));
	return insn_decode(bytes, n, mode, out);
}
