/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_FB_H
#define ARCH_CPU_FB_H

#include <hv/base/screen_face.h>

/* A colour's place in a pixel: its lowest bit, and the number of bits. */
struct fb_field {
	u8 at, bits;
};

struct fb_mode {
	u64 address;			  /* host-physical */
	u32 pitch;			  /* bytes from one row to the next */
	u32 width, height;		  /* pixels */
	u8 bpp;				  /* bits a pixel */
	struct fb_field red, green, blue; /* all of 0 bits: the usual places for bpp */
};

/*
 * Maps the pixels and returns the face that draws there. NULL, with the reason logged: it cannot
 * use the mode. Once.
 */
const struct screen_face *fb_init(struct fb_mode m);

#endif
