/* SPDX-License-Identifier: BSD-2-Clause */
/* The one name that the VMX folder gives to the rest. */
#ifndef ARCH_VMX_BACKEND_H
#define ARCH_VMX_BACKEND_H

#include <hv/vm/backend.h>

extern const struct cpu_backend vmx_backend;

#endif
