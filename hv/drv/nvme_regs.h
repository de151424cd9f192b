/* SPDX-License-Identifier: BSD-2-Clause */
/* "NVM Express Base Specification", revision 1.4: registers, commands and what they answer. */
#ifndef HV_DRV_NVME_REGS_H
#define HV_DRV_NVME_REGS_H

#include <hv/base/types.h>

/* "Controller Registers", by word */
enum {
	NVME_CAP = 0,
	NVME_INTMS = 3,
	NVME_CC = 5,
	NVME_CSTS = 7,
	NVME_AQA = 9,
	NVME_ASQ = 10,
	NVME_ACQ = 12
};
#define NVME_DOORBELLS 0x1000

#define CAP_MQES(cap) ((u32)(cap)&0xffff)
#define CAP_TO_MS(cap) (((u32)((cap) >> 24) & 0xff) * 500)
#define CAP_DSTRD(cap) ((u32)((cap) >> 32) & 0xf)
#define CAP_NVM(cap) ((cap)&BIT(37)) /* the NVM command set */
#define CAP_MPSMIN(cap) ((u32)((cap) >> 48) & 0xf)

#define CC_EN BIT(0)
#define CC_ENTRIES (6u << 16 | 4u << 20) /* 64 and 16 bytes; 4 KiB pages, NVM, round robin */
#define CSTS_RDY BIT(0)
#define CSTS_CFS BIT(1)

enum { ADMIN_CREATE_SQ = 1, ADMIN_CREATE_CQ = 5, ADMIN_IDENTIFY = 6, ADMIN_SET_FEATURES = 9 };
enum { CNS_NAMESPACE = 0, CNS_CONTROLLER = 1, CNS_ACTIVE = 2 };
enum {
	NVM_FLUSH = 0,
	NVM_WRITE = 1,
	NVM_READ = 2,
	NVM_WRITE_ZEROES = 8,
	NVM_DATASET_MANAGEMENT = 9
};
#define DSM_DEALLOCATE BIT(2) /* of word 11; word 10: ranges, less one */
#define ONCS_DSM BIT(2)	      /* of IDENTIFY's optional commands */
#define ONCS_WRITE_ZEROES BIT(3)

/* "Dataset Management - Range Definition" */
struct nvme_range {
	u32 attributes, blocks;
	u64 first;
};

#define FEATURE_QUEUES 7
#define QUEUE_CONTIGUOUS BIT(0)
#define QUEUE_INTERRUPTS BIT(1)

/* "Submission Queue Entry" */
struct nvme_command {
	u8 opcode, flags;
	u16 id;
	u32 namespace;
	u64 reserved, metadata, prp1, prp2;
	u32 word[6]; /* CDW10 to CDW15 */
};
_Static_assert(sizeof(struct nvme_command) == 64, "a submission queue entry has 64 bytes");

/* "Completion Queue Entry" */
struct nvme_completion {
	u32 result, reserved;
	u16 sq_head, sq_id, id;
	u16 status; /* bit 0: phase */
};
_Static_assert(sizeof(struct nvme_completion) == 16, "a completion queue entry has 16 bytes");
#define STATUS_PHASE BIT(0)
#define STATUS_DO_NOT_RETRY BIT(15)

#endif
