/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two equal pages become one: VM A's page is write-protected and marked, the
 * epoch passes, it is compared with a shared frame without p2m.lock, and if the
 * entry is still what it was, it is mapped to the shared frame and its own frame
 * goes into quarantine.  A write fault on a marked page makes it writable again,
 * without a flush.
 *
 * A design: no code follows it yet.  Flush, epoch and idle are those of epoch.pml.
 *
 * CPU 0 runs A. What must hold: A reads what it wrote.
 */
#define NCPU 3
#define IDLE 255
#define OWN 1
#define SHARED 2
#ifndef PROTECTIONS
#define PROTECTIONS 2
#endif

byte frame = OWN; /* of the entry */
bool writable = true;
byte stamp; /* the epoch of the write protection; 0: not marked */
bit data;   /* in its own frame; the shared one is all 0 */
bit truth;
bool locked; /* p2m.lock */
byte protections, gen = 1, epoch = 1;
byte seen[NCPU] = IDLE;
byte tlb, flushed; /* of CPU 0 */
bool tlb_writable;
byte pointer; /* the frame that the hypervisor on CPU 0 writes to; 0: none */

#define passed(e) (seen[0] >= (e) && seen[1] >= (e) && seen[2] >= (e))

inline write(f)
{
	d_step { assert(f == OWN); truth = 1 - truth; data = truth }
}

inline read(f)
{
	d_step { assert((f == OWN -> data : 0) == truth) }
}

inline enter()
{
	d_step {
		pointer = 0;
		e = epoch;
		if
		:: flushed != gen -> flushed = gen; tlb = 0; tlb_writable = false
		:: else
		fi
	}
	d_step { seen[0] = e; e = 0 }
}

active proctype Cpu()
{
	byte e;

	e = epoch;
	d_step { seen[0] = e; e = 0 }
	do
	/* a write fault on a page of its own; cow.pml has those on shared pages */
	:: d_step { !locked && frame == OWN && !writable -> writable = true; stamp = 0 }
	:: d_step { writable && pointer == 0 -> pointer = frame }
	:: pointer != 0 -> write(pointer)
	:: enter();
		do
		:: d_step { tlb = frame; tlb_writable = writable }
		:: tlb != 0 -> read(tlb)
		:: tlb_writable -> write(tlb)
		:: break
		od
	:: d_step { pointer = 0; seen[0] = IDLE }
		e = epoch;
		d_step { seen[0] = e; e = 0 }
	od
}

proctype OtherCpu(byte c)
{
	byte e;

	do
	:: e = epoch; d_step { seen[c] = e; e = 0 }
	:: seen[c] = IDLE
	od
}

/* The clock hand, on any CPU. */
active proctype Protects()
{
end:	do
	:: d_step {
		!locked && frame == OWN && writable && protections < PROTECTIONS -> locked = true;
		protections++;
		writable = false
	   }
		gen++;
		d_step { epoch++; stamp = epoch; locked = false }
	od
}

#ifdef NO_EPOCH
#define may_begin (stamp != 0)
#else
#define may_begin (stamp != 0 && passed(stamp))
#endif
#ifdef RECHECK_MARK
#define still_so (stamp != 0)
#else
#define still_so (stamp != 0 && stamp == s)
#endif

active proctype Merges()
{
	byte s;
	bool equal;

end:	do
	:: d_step { !locked && frame == OWN && may_begin -> s = stamp }
		equal = (data == 0);
		if
		:: d_step { !locked && frame == OWN && equal && still_so -> frame = SHARED; locked = true }
			gen++;
			d_step { epoch++; locked = false } /* its own frame: epoch.pml */
		:: !locked && !(frame == OWN && equal && still_so)
		fi;
		d_step { s = 0; equal = false }
	od
}

init
{
	atomic { run OtherCpu(1); run OtherCpu(2) }
}
