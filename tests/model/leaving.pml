/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mapping is taken away and the frame stays: LEAVING. Once the epoch has passed, a reclaimer
 * copies (compresses, writes to disk) the page without p2m.lock, looks at the entry again, and
 * frees the frame. A touch maps it back before that: without a flush, and without a frame.
 *
 * A design: no code follows it yet.  The order of flush, epoch and idle is that
 * of epoch.pml, so here stores are seen at once, an entry's two loads are one
 * step, and so are epoch_safe()'s.
 *
 * CPU 0 runs the VM and reads and writes the page, as a guest and from the hypervisor. Other CPUs
 * touch it at any time. What must hold: CPU 0 uses no frame that was freed, and finds in the page
 * what it wrote last.
 *
 * A page that leaves has a stamp, the epoch of that leaving, in its frame's record. The reclaimer
 * checks the stamp both times; neither its memory nor the entry's kind suffices, because the page
 * may have been touched, written, and be leaving once more.
 */
#ifndef LEAVINGS
#define LEAVINGS 2
#endif
#ifndef OUTS
#define OUTS 1 /* the leavings of these that come to an end */
#endif
#ifndef OTHERS
#define OTHERS 1 /* epochs that begin for other VMs */
#endif
#ifndef RECLAIMERS
#define RECLAIMERS 1
#endif
#define NCPU 3
#define IDLE 255

mtype = { MAPPED, LEAVING, OUT }

mtype kind = MAPPED;
byte frame = 1;	     /* of the entry, unless it is OUT */
byte stamp;	     /* in the frame's record, while it is LEAVING */
bool gone[OUTS + 2]; /* this frame has another owner */
bit data[OUTS + 2];  /* what is in it */
bit kept;	     /* the copy of it, if it is OUT */
bit truth;	     /* the last value written */
byte leavings, outs, others;
bool locked; /* p2m.lock */
byte gen = 1, epoch = 1;
byte seen[NCPU] = IDLE;
byte tlb, flushed; /* of CPU 0 */
byte pointer;	   /* the frame that the hypervisor on CPU 0 works in; 0: none */

#ifdef CLAIM_BIT
bool claimed; /* mark in the entry: a reclaimer copies; a touch clears it */
#endif

inline use(f)
{
	if
	:: d_step { assert(!gone[f]); assert(data[f] == truth) }
	:: d_step { assert(!gone[f]); truth = 1 - truth; data[f] = truth }
	fi
}

/* p2m_populate(): a fault of the guest, or the hypervisor finds the page not MAPPED. */
inline touch()
{
#ifdef TOUCH_UNLOCKED
	atomic { kind == LEAVING -> f = frame }
	d_step { !locked -> kind = MAPPED; frame = f; f = 0; stamp = 0 }
#else
	d_step {
		!locked && kind != MAPPED;
		if
		:: kind == OUT -> frame = outs + 1; data[frame] = kept; kept = 0
		:: else
		fi;
#ifdef CLAIM_BIT
		claimed = false;
#endif
		kind = MAPPED;
		stamp = 0
	}
#endif
}

/* --- CPUs --- */

#ifdef READ_LEAVING
#define reachable (kind != OUT)
#else
#define reachable (kind == MAPPED)
#endif

/* guest_read(), guest_write() */
inline hypervisor_access()
{
	if
	:: d_step { pointer == 0 && reachable -> pointer = frame }
#ifdef READ_LEAVING
	:: d_step { pointer != 0 -> assert(!gone[pointer]) }
#else
	:: pointer != 0 -> use(pointer)
#endif
	fi
}

inline enter()
{
	d_step {
		pointer = 0;
		e = epoch;
		if
		:: flushed != gen -> flushed = gen; tlb = 0
		:: else
		fi
	}
	d_step { seen[0] = e; e = 0 }
}

inline sleep()
{
	d_step { pointer = 0; seen[0] = IDLE }
	e = epoch;
	d_step { seen[0] = e; e = 0 }
}

active proctype Cpu()
{
	byte e;

	sleep(); /* as a CPU does when it comes online */
	do
	:: sleep()
	:: hypervisor_access()
	:: enter();
		do
		:: d_step { kind == MAPPED && tlb != frame -> tlb = frame }
		:: tlb != 0 -> use(tlb)
		:: break
		od
	od
}

proctype OtherCpu(byte c)
{
	byte e, f;

	do
	:: c == 1 -> touch()
	:: d_step { c == 2 && others < OTHERS -> others++; epoch++ }
	:: e = epoch; d_step { seen[c] = e; e = 0 }
	:: d_step { seen[c] != IDLE -> seen[c] = IDLE }
	od
}

/* --- the reclaimer --- */

/* The clock hand, on any CPU. */
active proctype Hand()
{
end:	do
	:: d_step {
		!locked && kind == MAPPED && leavings < LEAVINGS -> locked = true;
		leavings++;
#ifdef STAMP_GUESSED
		stamp = epoch + 1
	   }
		kind = LEAVING;
#else
		kind = LEAVING
	   }
#endif
		gen++;
#ifdef STAMP_GUESSED
		d_step { epoch++; locked = false }
#else
		d_step { epoch++; stamp = epoch; locked = false }
#endif
	od
}

#define passed(e) (seen[0] >= (e) && seen[1] >= (e) && seen[2] >= (e))

#if defined(NO_EPOCH)
#define may_begin (kind == LEAVING)
#elif defined(EPOCH_REMEMBERED)
#define may_begin (kind == LEAVING && passed(listed))
#else
#define may_begin (kind == LEAVING && passed(stamp))
#endif

#if defined(NO_RECHECK)
#define still_so true
#elif defined(RECHECK_KIND)
#define still_so (kind == LEAVING)
#elif defined(CLAIM_BIT)
#define still_so (kind == LEAVING && claimed)
#else
#define still_so (kind == LEAVING && stamp == s)
#endif

inline reclaim()
{
#ifdef EPOCH_REMEMBERED
	d_step { !locked && kind == LEAVING && listed == 0 -> listed = stamp }
#endif
	d_step {
		!locked && may_begin && outs < OUTS -> s = stamp; f = frame;
#ifdef CLAIM_BIT
		claimed = true
#endif
	}
	copy = data[f];
	d_step {
		!locked;
		if
		:: still_so ->
			kind = OUT;
			kept = copy;
			gone[f] = true;
			outs++;
			stamp = 0
		:: else
		fi;
		copy = 0;
		s = 0;
		f = 0
	}
}

proctype Reclaimer()
{
	byte s, f, listed;
	bit copy;

	do
	:: reclaim()
	od
}

init
{
	atomic {
		run OtherCpu(1);
		run OtherCpu(2);
		run Reclaimer();
#if RECLAIMERS > 1
		run Reclaimer()
#endif
	}
}
