/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When may an unmapped frame get a new owner?  The model of mm/epoch.c,
 * p2m_commit(), quarantine_drain(), step() in hv/vcpu.c and go_idle() in
 * hv/sched.c: three CPUs run a VM with one page, read it from the hypervisor,
 * unmap it, map another frame and sleep, in any order that the code allows.
 *
 * A step is one access to memory that other CPUs see.  A store to seen[] may
 * stay in the CPU's store buffer; a locked instruction waits until it is out.
 * The other stores of these functions are locked, or a locked instruction of
 * the same CPU follows before anything depends on them.
 *
 * All CPUs are alike, and none reads the TLB or the pointers of another.  It is
 * enough, then, to keep those of CPU 0, and to prove that it reaches no frame
 * that is gone: the three assertions.  docs/architecture.md: "The model".
 */
#ifndef UNMAPPINGS
#define UNMAPPINGS 2
#endif
#ifndef MOD
#define MOD 4 /* values that an epoch has in a frame's record; 2^32 in mm/frame.h */
#endif
#define NCPU 3
#define IDLE 255 /* EPOCH_IDLE: larger than any epoch */
#define NONE 255

byte pte = 1;		   /* the frame that the page is mapped to; 0: none */
byte fresh = 2;		   /* the next frame that the page gets */
bool gone[UNMAPPINGS + 1]; /* true: this frame has another owner */
bool locked;		   /* p2m.lock */
byte gen = 1;		   /* p2m.flush_gen */
byte epoch = MOD - 2;	   /* epochs.now; in the records it wraps at once */
byte seen[NCPU] = IDLE;	   /* epochs.cpu[].seen */
byte buffer = NONE;	   /* CPU 0's store to it that other CPUs do not see yet */
chan quarantine = [UNMAPPINGS] of { byte, byte } /* frame, its record's aux */

byte tlb;     /* the frame that CPU 0 has a translation for; 0: none */
bool guest;   /* CPU 0 is in guest mode */
byte pointer; /* the frame that the hypervisor on CPU 0 works in; 0: none */

#ifdef MOVES /* two vCPUs, each on any CPU */
#define NVCPU 2
byte last_cpu[NVCPU] = NONE;
bool running[NVCPU];
#else /* only CPU 0's: other CPUs' do not matter for it */
#define NVCPU 1
#endif
byte flushed[NVCPU]; /* vcpu.flush_gen */

/* --- the store buffer --- */

#ifdef MOVES
#define buffers(c) false
#else
#define buffers(c) (c == 0)
#endif
#define drained(c) (c != 0 || buffer == NONE)

/* Late stores of other CPUs would only keep frames in quarantine for longer. */
inline store_release()
{
	if
	:: d_step { buffers(c) && buffer == NONE -> buffer = e; e = 0 }
	:: d_step { !buffers(c) -> seen[c] = e; e = 0 }
	fi
}

active proctype StoreBuffer()
{
end:	do
	:: d_step { buffer != NONE -> seen[0] = buffer; buffer = NONE }
	od
}

/* --- mm/p2m.c --- */

inline take_lock()
{
	d_step { !locked && pte != 0 && drained(c) -> locked = true }
}
inline clear_entry()
{
	d_step { f = pte; pte = 0 }
}
inline raise_gen()
{
	d_step { drained(c) -> gen++ }
}
inline advance()
{
	d_step { drained(c) -> epoch++; e = epoch }
}
inline enter_quarantine()
{
	d_step { quarantine!f, e % MOD; f = 0; e = 0; locked = false }
}

/* drop_entry() and p2m_commit() */
inline unmap()
{
#if defined(GEN_BEFORE_CLEAR)
	atomic { take_lock(); raise_gen() }
	clear_entry();
	atomic { advance(); enter_quarantine() }
#elif defined(EPOCH_BEFORE_CLEAR)
	atomic { take_lock(); advance() }
	clear_entry();
	raise_gen();
	enter_quarantine()
#elif defined(EPOCH_BEFORE_GEN)
	atomic { take_lock(); clear_entry() }
	advance();
	raise_gen();
	enter_quarantine()
#else
	atomic { take_lock(); clear_entry() }
	raise_gen();
	atomic { advance(); enter_quarantine() }
#endif
}

/* p2m_populate(), always with another frame */
inline map()
{
	d_step { !locked && pte == 0 && fresh <= UNMAPPINGS -> pte = fresh; fresh++ }
}

/* --- hv/vcpu.c --- */

inline drop_pointer()
{
	pointer = (c == 0 -> 0 : pointer)
}

inline read_epoch()
{
	d_step { drop_pointer(); e = epoch }
}

inline flush_if_stale()
{
	d_step {
		if
#ifndef NO_FLUSH
		:: flushed[v] != gen -> flushed[v] = gen; tlb = (c == 0 -> 0 : tlb)
#endif
		:: else
		fi
	}
}

/* step(): an entry, translations that come and go, and an exit by a kick or for any other reason */
inline step()
{
#ifdef EPOCH_AFTER_FLUSH
	flush_if_stale();
	read_epoch();
	store_release();
#else
	flush_if_stale();
	store_release();
#endif
	if
	:: c != 0
	:: d_step { c == 0 -> guest = true; assert(!gone[tlb]) }
		do
		:: d_step { pte != 0 && tlb != pte -> tlb = pte }
		:: guest = false -> break
		od
	fi
}

/* vcpu_execute(): a vCPU comes to this CPU, and leaves it */
inline load(n)
{
	d_step {
		v == NONE && !running[n] -> v = n;
		running[v] = true;
#ifndef NO_FLUSH_AFTER_MOVE
		flushed[v] = (last_cpu[v] != c -> 0 : flushed[v]);
#endif
		last_cpu[v] = c
	}
}
inline unload()
{
	d_step { v != NONE -> running[v] = false; v = NONE }
}

/* --- hv/sched.c --- */

/* background() has worked */
inline quiescent()
{
#ifdef POINTER_KEPT
	e = epoch;
#else
	read_epoch();
#endif
	store_release()
}

inline idle_enter()
{
	d_step { drained(c) -> drop_pointer(); seen[c] = IDLE }
}

/* Also what epoch_cpu_online() does. */
inline idle_leave()
{
#if defined(IDLE_NOT_LEFT)
	skip
#elif defined(NO_FENCE)
	e = epoch;
	store_release()
#else
	e = epoch;
	d_step { drained(c) -> seen[c] = e; e = 0 }
#endif
}

proctype Cpu(byte c)
{
	byte e, f, v = NONE;

asleep:
	idle_leave();
	do
	:: unmap()
	:: map()
	:: v == NONE -> idle_enter(); goto asleep
#ifdef MOVES
	:: atomic { load(0); read_epoch() } step()
	:: atomic { load(1); read_epoch() } step()
	:: atomic { v != NONE -> read_epoch() } step()
	:: unload()
#else
	:: quiescent()
	:: d_step { c == 0 && pte != 0 && pointer != pte -> pointer = pte } /* p2m_lookup() */
	:: atomic { c == 0 -> v = 0; read_epoch() } step(); v = NONE
#endif
	od
}

init
{
	atomic { run Cpu(0); run Cpu(1); run Cpu(2) }
}

/* --- mm/frame.c: quarantine_drain(), by any CPU at any time --- */

#ifdef OFF_BY_ONE
#define passed(safe, aux) ((safe + 1 + MOD - aux) % MOD < MOD / 2)
#else
#define passed(safe, aux) ((safe + MOD - aux) % MOD < MOD / 2) /* (s32)(safe - aux) >= 0 */
#endif

/* epoch_safe() */
inline compute_safe()
{
#ifdef NOW_READ_LAST
	safe = IDLE;
#else
	safe = epoch;
#endif
	do
	:: d_step { i < NCPU -> safe = (seen[i] < safe -> seen[i] : safe); i++ }
	:: d_step { i == NCPU -> i = 0 } break
	od;
#ifdef NOW_READ_LAST
	safe = (epoch < safe -> epoch : safe)
#endif
}

active proctype Drain()
{
	byte safe, i, f, aux;

end:	do
	:: nempty(quarantine) ->
		compute_safe();
		atomic {
			do
			:: quarantine?<f, aux> ->
				if
				:: passed(safe, aux) ->
					quarantine?f, aux;
					assert(pointer != f);
					assert(!(guest && tlb == f));
					gone[f] = true
				:: else -> break
				fi
			:: empty(quarantine) -> break
			od;
			safe = 0;
			f = 0;
			aux = 0
		}
	od
}
