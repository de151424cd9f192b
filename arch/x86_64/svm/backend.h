/* SPDX-License-Identifier: BSD-2-Clause */
/* The one name that the SVM folder gives to the rest. */
#ifndef ARCH_SVM_BACKEND_H
#define ARCH_SVM_BACKEND_H

#include <hv/vm/backend.h>

extern const struct cpu_backend svm_backend;

#endif
