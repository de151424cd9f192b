/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy on write: VMs A and B share frame S, read-only. A write by A gets a copy C, which is mapped
 * read-only; the flush and an epoch begin, and once it has passed the entry becomes writable,
 * without a flush. B, if it has the last reference, may write S in place, once the epoch of A's
 * leaving has passed.
 *
 * A design: no code follows it yet.  Flush, epoch and idle are those of epoch.pml.
 *
 * CPUs 0 and 1 run A, CPU 2 runs B. CPU 0 reads, as a guest and from the hypervisor; CPU 1 writes.
 * What must hold: after A has written to the page, nobody reads the old bytes there, and nobody
 * ever reads B's.
 */
#define NCPU 3
#define IDLE 255
#define S 1
#define C 2

byte frame = S;		/* of A's entry */
bool writable;		/* it is */
byte stamp;		/* the epoch of the copy */
byte refs = 2;		/* of S */
byte last_left;		/* the epoch in which a reference to S was dropped */
byte data[3];		/* in S and C: 0 of old, 1 by A, 2 by B */
byte truth;		/* in A's page */
bool b_shares = true;	/* B's entry is S */
bool lock_a, lock_b;	/* p2m.lock of each */
byte gen = 1, epoch = 1;
byte seen[NCPU] = IDLE;
byte tlb, flushed;	/* of CPU 0 */
byte pointer;		/* the frame that the hypervisor on CPU 0 works in; 0: none */

#define passed(e) (seen[0] >= (e) && seen[1] >= (e) && seen[2] >= (e))

#ifdef WRITABLE_AT_ONCE
#define copy_done true
#else
#define copy_done passed(stamp)
#endif

#ifdef LAST_AT_ONCE
#define others_gone true
#else
#define others_gone passed(last_left)
#endif

/* A write fault of A. */
inline fault()
{
	if
	:: d_step { !lock_a && frame == S -> lock_a = true; data[C] = data[S]; frame = C }
#ifndef NO_FLUSH
		gen++;
#endif
		d_step { epoch++; stamp = epoch; last_left = epoch; refs--; lock_a = false }
	:: d_step { !lock_a && frame == C && !writable && copy_done -> writable = true }
	fi
}

#ifdef HYPERVISOR_WRITES_AT_ONCE
#define may_write (frame == C)
#else
#define may_write writable
#endif

inline write()
{
	d_step { may_write -> data[frame] = 1; truth = 1 }
}

inline publish(c)
{
	e = epoch;
	d_step { seen[c] = e; e = 0 }
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

active proctype Reads()
{
	byte e;

	publish(0);
	do
	:: d_step { pointer != frame -> pointer = frame }
	:: d_step { pointer != 0 -> assert(data[pointer] == truth) }
	:: fault()
	:: enter();
		do
		:: d_step { tlb != frame -> tlb = frame }
		:: d_step { tlb != 0 -> assert(data[tlb] == truth) }
		:: break
		od
	:: d_step { pointer = 0; seen[0] = IDLE } publish(0)
	od
}

active proctype Writes()
{
	byte e;

	do
	:: fault()
	:: write()
	:: publish(1)
	:: seen[1] = IDLE
	od
}

/* B leaves with a copy of its own, or writes in place. */
active proctype Shares()
{
	byte e;

	do
	:: d_step { !lock_b && b_shares && refs == 2 -> b_shares = false; lock_b = true }
		d_step { epoch++; last_left = epoch; refs--; lock_b = false }
	:: d_step { !lock_b && b_shares && refs == 1 && others_gone -> data[S] = 2 }
	:: publish(2)
	:: seen[2] = IDLE
	od
}
