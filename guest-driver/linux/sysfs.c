/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* /sys/bus/platform/devices/AERO0001:00/: figures for people, in pages of 4 KiB. */
#include <linux/sysfs.h>

#include "aerostat.h"

/* One figure. Read without the lock: each is one word, and they need not agree. */
#define FIGURE(name, value)                                                                      \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
	{                                                                                        \
		const struct aerostat *a = dev_get_drvdata(dev);                                 \
		const struct aero_balloon *b = &a->balloon;                                      \
                                                                                                 \
		(void)b;                                                                         \
		return sysfs_emit(buf, "%llu\n", (unsigned long long)(value));                   \
	}                                                                                        \
	static DEVICE_ATTR_RO(name)

FIGURE(target, b->target);
FIGURE(actual, b->actual);
FIGURE(size, b->size);
FIGURE(popped, b->size > b->actual ? b->size - b->actual : 0);
FIGURE(refused, b->refused);
FIGURE(batches, b->batches);
FIGURE(reported, b->reported);
FIGURE(grown, a->grown);
FIGURE(rings, a->rings);
FIGURE(cycles, a->cycles);
FIGURE(grow_cycles, a->grow_cycles);

static struct attribute *figures[] = {
	&dev_attr_target.attr,	 &dev_attr_actual.attr,	     &dev_attr_size.attr,
	&dev_attr_popped.attr,	 &dev_attr_refused.attr,     &dev_attr_batches.attr,
	&dev_attr_reported.attr, &dev_attr_grown.attr,	     &dev_attr_rings.attr,
	&dev_attr_cycles.attr,	 &dev_attr_grow_cycles.attr, NULL,
};
static const struct attribute_group figures_group = { .attrs = figures };

const struct attribute_group *aerostat_groups[] = { &figures_group, NULL };
